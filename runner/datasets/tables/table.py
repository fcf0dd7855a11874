"""A table as it is read from a file, before its columns are interpreted."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from runner.datasets.tables.dialect import Text


class Problem(NamedTuple):
    """A cell that cannot be used."""

    column: str
    row: int
    need: str  # what is needed, or what to do


class Table(NamedTuple):
    """The columns of a file: floats, or texts without surrounding blanks; empty cells are null."""

    path: str
    frame: pl.DataFrame
    text: Text

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return self.frame.columns

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each row, as the file writes them."""
        return [row for _, row in itertools.islice(self.text.rows(), 1, None)]

    def describe(self, problems: Sequence[Problem]) -> list[str]:
        """Returns each problem as one line, which says where the cell is and what the file writes there."""
        found = self._cells({problem.row for problem in problems})
        return [self._line(problem, *found[problem.row]) for problem in problems]

    def _cells(self, rows: Iterable[int]) -> dict[int, tuple[int, list[str]]]:
        needed = set(rows)
        numbered = enumerate(itertools.islice(self.text.rows(), 1, max(needed, default=-1) + 2))
        return {row: found for row, found in numbered if row in needed}

    def _line(self, problem: Problem, line: int, cells: list[str]) -> str:
        cell = cells[self.header.index(problem.column)]
        content = repr(cell) if cell else "empty"
        return f"{problem.column}: line {line} of {self.path} is {content}; {problem.need}"
