"""The targets of a table: classes, or numbers."""

import numpy as np
import polars as pl

from runner.datasets.tables.cells import Cells
from runner.datasets.tables.settings import TableSettings

CLASSES_FOUND = 32  # whole numbers with more distinct values are treated as targets of a regression


def read_targets(cells: Cells, settings: TableSettings) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns classes y [N] and their names, or numbers y [N, targets], float64, and no names.

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
        return np.stack([cells.column(name) for name in names], 1), ()
    column = cells.column(names[0])
    classes = _classes(column, settings.task, names[0])
    if classes is None:
        return np.stack([column], 1), ()
    y, labels = classes
    if len(labels) == 1:
        raise ValueError(f"{names[0]}: every row of {of} is {labels[0]!r}; classification needs two classes")
    return y, labels


def _classes(
    column: np.ndarray | pl.Series, task: str | None, name: str
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Returns the numbers and names of classes, or None if the column holds numbers to predict."""
    if isinstance(column, pl.Series):
        labels = column.unique().sort()
        return labels.search_sorted(column).to_numpy().astype(np.int32), tuple(labels)
    distinct, indices = np.unique(column, return_inverse=True)
    whole = distinct == np.round(distinct)
    if task == "regression" or (task is None and not (whole.all() and len(distinct) <= CLASSES_FOUND)):
        return None
    if not whole.all():
        raise ValueError(f"task: classes are texts or whole numbers; {name} holds {distinct[~whole][0]}")
    return indices.astype(np.int32), tuple(str(int(value)) for value in distinct)
