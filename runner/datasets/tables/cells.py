"""The columns of a table as numbers and texts."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.notation import NUMBERS, Hints, Parsed, parse
from runner.datasets.tables.table import ABSENT, Problem, Table

LARGEST = float(np.finfo(np.float32).max)


class Cells(NamedTuple):
    """The cells of some columns of a table."""

    names: list[str]  # of the columns of numbers
    numbers: np.ndarray  # [N, names], float64; NaN where a cell is missing or does not fit
    texts: dict[str, pl.Series]  # the other columns; null where a cell is missing
    dates: dict[str, str]  # columns of dates among the numbers, and their notation
    misfits: list[Problem]  # the cells that do not fit the others of their columns

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> "Cells":
        """Returns some of the rows."""
        texts = {name: column.gather(rows) for name, column in self.texts.items()}
        return self._replace(numbers=self.numbers.T[:, rows].T, texts=texts, misfits=[])

    def column(self, name: str) -> np.ndarray | pl.Series:
        """Returns the cells of a column."""
        return self.texts[name] if name in self.texts else self.numbers[:, self.names.index(name)]

    def missing(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Returns the columns that lack cells, and whether each row lacks one."""
        gaps = np.isnan(self.numbers)
        found = {self.names[index]: gaps[:, index] for index in np.flatnonzero(gaps.any(0)).tolist()}
        found |= {
            name: column.is_null().to_numpy() for name, column in self.texts.items() if column.has_nulls()
        }
        return {name: found[name] for name in names if name in found}


def interpret(
    table: Table,
    names: Sequence[str],
    as_texts: Collection[str] = (),
    known: Mapping[str, Column] | None = None,
    rules: int = 2,
) -> Cells:
    """Returns the cells of columns. A column with a number in it is one of numbers.

    Args:
        table: the table.
        names: the columns to interpret.
        as_texts: those that hold texts, even if these are numbers.
        known: the columns of another table with the same kinds, by their names.
        rules: as in `TableSettings`.
    """
    texts: dict[str, pl.Series] = {}
    parsed: dict[str, Parsed] = {}
    for name in names:
        column = (known or {}).get(name)
        is_text = name in as_texts or bool(column and column.categories)
        if is_text or table.frame.schema[name] != pl.Float64:
            absent = ABSENT[rules] - set(column.categories if column else ())
            texts[name] = _texts(table, name, absent)
            hints = Hints(column is not None, column.dates if column else None, table.decimal, rules)
            found = None if is_text else parse(texts[name], hints)
            if found is not None:
                parsed[name] = found
                del texts[name]
    read = [name for name in names if name not in texts and name not in parsed]
    numbers = table.frame.select(read).to_numpy() if read else np.empty((len(table.frame), 0))
    if parsed:
        numbers = np.concatenate([numbers, *(found.values[:, None] for found in parsed.values())], 1)
    elif not numbers.flags.writeable:
        numbers = numbers.copy(order="F")
    names = [*read, *parsed]
    dates = {name: found.dates for name, found in parsed.items() if found.dates}
    misfits = [Problem(name, row, found.need) for name, found in parsed.items() for row in found.misfits]
    return Cells(names, numbers, texts, dates, misfits + _too_large(names, numbers))


def _texts(table: Table, name: str, absent: Collection[str]) -> pl.Series:
    """Returns the cells of a column as texts; whole numbers are written without a fraction."""
    column = table.frame[name]
    if column.dtype == pl.Float64:
        return column.cast(pl.String).str.strip_suffix(".0")
    if column.dtype != pl.String:
        raise ValueError(f"{name}: {table.path} holds {column.dtype} there; drop the column")
    column = column.str.strip_chars()
    return pl.select(pl.when(~column.is_in(list(absent))).then(column)).to_series()


def _too_large(names: Sequence[str], numbers: np.ndarray) -> list[Problem]:
    """Returns the numbers that float32 cannot hold, and sets them to NaN."""
    largest, smallest = (find.reduce(numbers.T, 1, initial=0) for find in (np.fmax, np.fmin))
    problems = []
    for index in np.flatnonzero(np.maximum(largest, -smallest) > LARGEST).tolist():
        rows = np.flatnonzero(np.abs(numbers[:, index]) > LARGEST)
        numbers[rows, index] = np.nan
        problems += [Problem(names[index], row, NUMBERS) for row in rows.tolist()]
    return problems
