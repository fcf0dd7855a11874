"""A user's own table: a text file whose first line names the columns."""

import io
from collections.abc import Sequence
from csv import Error, reader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.core import Column, Dataset, Spec
from runner.datasets.files import read
from runner.datasets.splits import split

LARGEST = float(np.finfo(np.float32).max)
CATEGORIES = (
    100  # of one text feature; a column with more probably holds names, dates or numbers in another notation
)
CLASSES_FOUND = 32  # whole numbers with more distinct values are treated as targets of a regression


class Table(NamedTuple):
    """A table as it is written in its file, each cell without surrounding blanks."""

    path: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]  # the line of the file on which each row ends

    def cells(self, name: str) -> list[str]:
        """Returns the cells of a column."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def csv(
    path: str,
    target: str,
    task: str | None = None,
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
) -> Dataset:
    """Reads a table of numbers and texts, whose columns are separated by commas, semicolons or tabs.

    A column of numbers is one feature of x [N, features]; a column of texts is one 0/1 feature for each of its
    categories. The target becomes classes y [N], or targets of a regression y [N, 1].

    Args:
        path: the file, UTF-8.
        target: name of the column to predict; all other columns are features.
        task: "classification", "regression", or None: classification if the target holds texts, or whole numbers
            with at most 32 distinct values.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.

    Raises:
        ValueError: the file cannot be read as a table, a cell is empty or does not fit its column, or the target is
            missing or does not fit the task.
    """
    table = read_table(path)
    if len(table.header) == 1:
        raise ValueError(
            f"path: {path} has one column, {table.header[0]!r}; commas, semicolons or tabs part columns"
        )
    if target not in table.header:
        raise ValueError(f"target: {path} has no column {target!r}; it has {', '.join(table.header)}")
    y, known = _target(table, target, task)
    columns = _describe_all(table, [name for name in table.header if name != target], path)
    arrays = {"x": _features(table, columns), "y": y}
    return split(arrays, batch_size, split_seed, validation, test, columns=columns, target=target, **known)


def _describe_all(table: Table, names: Sequence[str], path: str) -> list[Column]:
    columns = [_describe(table, name) for name in names]
    for column in columns:
        if len(column.categories) > CATEGORIES:
            raise ValueError(
                f"{column.name}: {len(column.categories)} different texts in {path}; a text feature may have"
                f" {CATEGORIES}: write it as numbers or remove the column"
            )
    return columns


def read_rows(path: str | Path, spec: Spec) -> tuple[np.ndarray, Table]:
    """Reads the features x [N, features] of another table, from the columns that a spec names.

    Raises:
        ValueError: the spec has no columns, the file cannot be read as a table, a column is missing, or a cell does
            not fit its column.
    """
    if not spec.columns:
        raise ValueError("path: this data has no named columns, so that a table cannot be read for it")
    table = read_table(path)
    missing = [column.name for column in spec.columns if column.name not in table.header]
    if missing:
        raise ValueError(f"{missing[0]}: {path} has no such column; it has {', '.join(table.header)}")
    return _features(table, spec.columns), table


def read_table(path: str | Path) -> Table:
    """Reads a table; its delimiter is the one that occurs most often in its first line.

    Raises:
        ValueError: the file is missing, empty or not UTF-8, it has no rows or rows of different lengths, or a name
            in the header is empty or occurs twice.
    """
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    parsed = reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        (_, header), *numbered = [(parsed.line_num, [cell.strip() for cell in row]) for row in parsed if row]
    except Error as error:
        raise ValueError(f"path: line {parsed.line_num} of {path}: {error}") from None
    except ValueError:
        raise ValueError(f"path: {path} is empty") from None
    _check_header(path, header)
    if not numbered:
        raise ValueError(f"path: {path} has a header and no rows")
    for line, row in numbered:
        if len(row) != len(header):
            raise ValueError(
                f"path: line {line} of {path} has {len(row)} cells; the header has {len(header)}"
            )
    lines, rows = zip(*numbered, strict=True)
    return Table(str(path), header, list(rows), list(lines))


def _check_header(path: str | Path, header: list[str]) -> None:
    for index, name in enumerate(header):
        if not name:
            raise ValueError(
                f"path: column {index + 1} in the header of {path} has no name; name it or remove it"
            )
        if name in header[:index]:
            raise ValueError(f"path: the header of {path} names {name!r} twice")


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) <= LARGEST and "_" not in cell else None  # Python reads 1_0 as 10


def _describe(table: Table, name: str) -> Column:
    """Returns the description of a column: whether it holds numbers, or texts of which categories."""
    cells = table.cells(name)
    if any(_number(cell) is not None for cell in cells):
        return Column(name)
    if "" in cells:
        raise ValueError(
            f"{name}: line {table.lines[cells.index('')]} of {table.path} is empty; fill it or remove the row"
        )
    return Column(name, tuple(sorted(set(cells))))


def _numbers(table: Table, name: str) -> np.ndarray:
    cells = table.cells(name)
    values = [_number(cell) for cell in cells]
    for line, cell, value in zip(table.lines, cells, values, strict=True):
        if value is None:
            content = repr(cell) if cell else "empty"
            raise ValueError(
                f"{name}: line {line} of {table.path} is {content}; need a finite number, as in other rows"
            )
    return np.array(values, np.float64)


def _category_numbers(table: Table, column: Column) -> np.ndarray:
    """Returns the index of each cell among the column's categories."""
    indices, cells = {text: index for index, text in enumerate(column.categories)}, table.cells(column.name)
    for line, cell in zip(table.lines, cells, strict=True):
        if cell not in indices:
            known = ", ".join(column.categories)
            raise ValueError(f"{column.name}: line {line} of {table.path} is {cell!r}; known are {known}")
    return np.array([indices[cell] for cell in cells], np.int32)


def _features(table: Table, columns: Sequence[Column]) -> np.ndarray:
    parts = [
        np.eye(len(column.categories))[_category_numbers(table, column)]
        if column.categories
        else _numbers(table, column.name)[:, None]
        for column in columns
    ]
    return np.concatenate(parts, 1, dtype=np.float32)


def _target(table: Table, name: str, task: str | None) -> tuple[np.ndarray, dict[str, object]]:
    """Returns y, and the arguments of `Spec` that describe it."""
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task: {task!r} is none of classification, regression")
    column = _describe(table, name)
    if column.categories:
        if task == "regression":
            raise ValueError(f"task: regression needs numbers; the column {name} of {table.path} is text")
        y, labels = _category_numbers(table, column), column.categories
    else:
        values = _numbers(table, name)
        distinct, indices = np.unique(values, return_inverse=True)
        whole = distinct == np.round(distinct)
        if task == "regression" or (task is None and not (whole.all() and len(distinct) <= CLASSES_FOUND)):
            return values.astype(np.float32)[:, None], {}
        if not whole.all():
            raise ValueError(f"task: classes are texts or whole numbers; {name} holds {distinct[~whole][0]}")
        y, labels = indices.astype(np.int32), tuple(str(int(value)) for value in distinct)
    if len(labels) == 1:
        raise ValueError(
            f"{name}: every row of {table.path} is {labels[0]!r}; classification needs two classes"
        )
    return y, {"classes": len(labels), "labels": labels}
