"""A summary of the columns of a table, before anything is trained on them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.dates import as_text
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.targets import Targets

SHOWN = 30  # columns
NAMED = 6  # categories
FEWEST = 20  # rows; of fewer ones, whole numbers may well all differ


def summary(cells: Cells, columns: Sequence[Column], targets: Targets, settings: TableSettings) -> str:
    """Returns a line for each target and the first columns: kind, range or categories, and what it lacks."""
    first = f"{settings.path}: {cells.size} rows, {len(columns)} columns of features"
    known = {column.name: column for column in targets.columns}
    lines = [
        f"  target {_classes(name, targets) if targets.labels else _line(cells, known[name])}"
        for name in settings.targets
    ]
    lines += [f"  {_line(cells, column)}" for column in columns[:SHOWN]]
    more = [f"  and {len(columns) - SHOWN} more columns"] if len(columns) > SHOWN else []
    return "\n".join([first, *lines, *more])


def _classes(name: str, targets: Targets) -> str:
    counts = np.bincount(targets.y, minlength=len(targets.labels))
    return f"{name}: {_counted('classes', list(zip(targets.labels, counts.tolist(), strict=True)))}"


def _counted(kind: str, counts: Sequence[tuple[str, int]]) -> str:
    names = [f"{name} ({count})" for name, count in counts[:NAMED]]
    return f"{len(counts)} {kind}: {', '.join(names)}{', ...' if len(counts) > NAMED else ''}"


def _line(cells: Cells, column: Column) -> str:
    values = cells.column(column.name)
    if isinstance(values, pl.Series):
        missing, content = values.null_count() / len(values), _categories(values)
    else:
        missing, content = float(np.isnan(values).mean()), _range(values[~np.isnan(values)], column)
    lacks = f", {100 * missing:.2g} % missing" if missing else ""
    return f"{column.name}: {content}{lacks}"


def _range(values: np.ndarray, column: Column) -> str:
    first, last = (
        as_text(value) if column.dates else f"{value:.6g}" for value in (values.min(), values.max())
    )
    offset = f", less {column.offset:.6g}" if column.offset and not column.dates else ""
    return f"{'dates' if column.dates else 'numbers'} from {first} to {last}{offset}{_id_like(values)}"


def _id_like(values: np.ndarray) -> str:
    if len(values) < FEWEST or (values != np.round(values)).any() or len(np.unique(values)) < len(values):
        return ""
    return ", all different: if they identify rows, name the column in drop"


def _categories(texts: pl.Series) -> str:
    return _counted("categories", texts.drop_nulls().value_counts(sort=True).rows())
