"""The targets of a table: classes, or numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.schema import offsets_of
from runner.datasets.tables.settings import TableSettings

CLASSES_FOUND = 32  # whole numbers with more distinct values are treated as targets of a regression


class Targets(NamedTuple):
    """The targets of some rows."""

    y: np.ndarray  # classes [N], or numbers [N, targets]
    labels: tuple[str, ...] = ()  # the names of the classes
    columns: tuple[Column, ...] = ()  # of the numbers


def read_targets(cells: Cells, settings: TableSettings) -> Targets:
    """Returns the targets of all rows.

    Raises:
        ValueError: the targets do not fit the task.
    """
    names, of = list(settings.targets), settings.path
    texts = [name for name in names if name in cells.texts]
    if texts and (settings.task == "regression" or len(names) > 1):
        raise ValueError(f"task: regression needs numbers; the column {texts[0]} of {of} is text")
    if len(names) > 1:
        if settings.task == "classification":
            raise ValueError(f"task: classification has one target; {', '.join(names)} are {len(names)}")
        return _numbers(cells, names, settings)
    classes = _classes(cells, names[0], settings.task)
    if classes is None:
        return _numbers(cells, names, settings)
    if len(classes.labels) == 1:
        only = classes.labels[0]
        raise ValueError(f"{names[0]}: every row of {of} is {only!r}; classification needs two classes")
    return classes


def _numbers(cells: Cells, names: Sequence[str], settings: TableSettings) -> Targets:
    y = np.stack([cells.column(name) for name in names], 1)
    offsets = offsets_of(y, np.zeros(len(names), bool), settings)
    columns = [
        Column(name, dates=cells.dates.get(name), offset=float(offset))
        for name, offset in zip(names, offsets, strict=True)
    ]
    return Targets((y - offsets).astype(np.float32), columns=tuple(columns))


def _classes(cells: Cells, name: str, task: str | None) -> Targets | None:
    """Returns classes and their names, or None if the column holds numbers to predict."""
    column = cells.column(name)
    if isinstance(column, pl.Series):
        labels = column.unique().sort()
        return Targets(labels.search_sorted(column).to_numpy().astype(np.int32), tuple(labels))
    distinct, indices = np.unique(column, return_inverse=True)
    whole = distinct == np.round(distinct)
    if task == "regression" or (task is None and not (whole.all() and len(distinct) <= CLASSES_FOUND)):
        return None
    if not whole.all():
        raise ValueError(f"task: classes are texts or whole numbers; {name} holds {distinct[~whole][0]}")
    return Targets(indices.astype(np.int32), tuple(str(int(value)) for value in distinct))
