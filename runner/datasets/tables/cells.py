"""The columns of a table as numbers and texts."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.notation import NUMBERS, parse
from runner.datasets.tables.table import Problem, Table

LARGEST = float(np.finfo(np.float32).max)


class Cells(NamedTuple):
    """The cells of some columns of a table."""

    names: list[str]  # of the columns of numbers
    numbers: np.ndarray  # [N, names], float64; NaN where a cell is missing or does not fit
    texts: dict[str, pl.Series]  # the other columns; null where a cell is missing
    misfits: list[Problem]  # the cells that do not fit the others of their columns
    size: int  # rows

    def take(self, rows: np.ndarray) -> "Cells":
        """Returns some of the rows."""
        texts = {name: column.gather(rows) for name, column in self.texts.items()}
        return Cells(self.names, self.numbers[rows], texts, [], len(rows))

    def column(self, name: str) -> np.ndarray | pl.Series:
        """Returns the cells of a column."""
        return self.texts[name] if name in self.texts else self.numbers[:, self.names.index(name)]


def interpret(
    table: Table,
    names: Sequence[str],
    as_texts: Collection[str] = (),
    known: Mapping[str, Column] | None = None,
) -> Cells:
    """Returns the cells of columns. A column with a number in it is one of numbers.

    Args:
        table: the table.
        names: the columns to interpret.
        as_texts: those that hold texts, even if these are numbers.
        known: the columns of another table with the same kinds, by their names.
    """
    texts, parsed = {}, {}
    for name in names:
        column = (known or {}).get(name)
        is_text, is_number = name in as_texts or bool(column and column.categories), column is not None
        if is_text or table.frame.schema[name] != pl.Float64:
            texts[name] = _texts(table.frame[name])
            parsed[name] = None if is_text else parse(texts[name], is_number)
    read = [name for name in names if name not in texts]
    numbers = table.frame.select(read).to_numpy(order="fortran") if read else np.empty((len(table.frame), 0))
    others = {name: result for name, result in parsed.items() if result is not None}
    if others:
        numbers = np.concatenate([numbers, *(result.values[:, None] for result in others.values())], 1)
    misfits = [Problem(name, row, result.need) for name, result in others.items() for row in result.misfits]
    names = [*read, *others]
    remaining = {name: column for name, column in texts.items() if name not in others}
    return Cells(names, numbers, remaining, misfits + _too_large(names, numbers), len(numbers))


def _texts(column: pl.Series) -> pl.Series:
    """Returns the cells of a column as texts; whole numbers are written without a fraction."""
    if column.dtype != pl.Float64:
        column = column.str.strip_chars()
        return pl.select(pl.when(column != "").then(column)).to_series()
    return column.cast(pl.String).str.strip_suffix(".0")


def _too_large(names: Sequence[str], numbers: np.ndarray) -> list[Problem]:
    """Returns the numbers that float32 cannot hold, and sets them to NaN."""
    largest, smallest = (find.reduce(numbers, 0, initial=0) for find in (np.fmax, np.fmin))
    problems = []
    for index in np.flatnonzero(np.maximum(largest, -smallest) > LARGEST).tolist():
        rows = np.flatnonzero(np.abs(numbers[:, index]) > LARGEST)
        numbers[rows, index] = np.nan
        problems += [Problem(names[index], row, NUMBERS) for row in rows.tolist()]
    return problems
