"""A table as it is read from a file, before its columns are interpreted."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from runner.datasets.tables.dialect import Text

# Texts that stand for no value, by the version of the rules: those of pandas, and the question mark of the UCI archive.
MARKS = ("NA", "N/A", "#N/A", "#NA", "<NA>", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None", "?")
ABSENT = {1: {""}, 2: {"", *MARKS}}


class Problem(NamedTuple):
    """A cell that cannot be used."""

    column: str
    row: int
    need: str  # what is needed, or what to do


class Table(NamedTuple):
    """The columns of a file: floats, or texts, perhaps with surrounding blanks; empty cells are null."""

    path: str
    frame: pl.DataFrame
    text: Text | None  # of a text file
    decimal: str | None = "."  # the decimal mark of numbers that can be read in two ways, if that is known
    original: pl.DataFrame | None = None  # the columns with their types, of a file that has types

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return self.frame.columns

    @property
    def rows(self) -> list[list[str]]:
        """The cells of each row, as the file writes them."""
        return [row for _, row in self._rows(len(self.frame))]

    def describe(self, problems: Sequence[Problem]) -> list[str]:
        """Returns each problem as one line, which says where the cell is and what the file holds there."""
        needed = {problem.row for problem in problems}
        numbered = enumerate(self._rows(max(needed, default=-1) + 1))
        found = {row: content for row, content in numbered if row in needed}
        return [self._line(problem, *found[problem.row]) for problem in problems]

    def _rows(self, count: int) -> Iterable[tuple[str, list[str]]]:
        """Returns the place of each of the first rows, and its cells as the file writes them."""
        if self.text is None:
            numbered = enumerate(self.frame.head(count).rows())
            return (
                (f"row {row}", ["" if cell is None else str(cell) for cell in cells])
                for row, cells in numbered
            )
        return ((f"line {line}", cells) for line, cells in itertools.islice(self.text.rows(), 1, count + 1))

    def _line(self, problem: Problem, place: str, cells: list[str]) -> str:
        cell = cells[self.header.index(problem.column)]
        return (
            f"{problem.column}: {place} of {self.path} is {repr(cell) if cell else 'empty'}; {problem.need}"
        )
