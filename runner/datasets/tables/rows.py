"""Which rows of a table are used."""

from collections.abc import Sequence

import numpy as np

from runner.datasets.checks import report
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table import Table


def kept_rows(table: Table, cells: Cells, features: Sequence[str], settings: TableSettings) -> np.ndarray:
    """Returns the rows that are used, and reports the others.

    Raises:
        ValueError: no row remains.
    """
    keep = np.ones(cells.size, bool)
    _leave_out(keep, cells, settings.targets, f"have no {' or '.join(settings.targets)}, which is the target")
    if settings.missing == "drop_rows":
        _leave_out(keep, cells, features, "lack a value, by missing=drop_rows")
    if not keep.any():
        raise ValueError(f"path: no row of {settings.path} has all its cells")
    rows = np.flatnonzero(keep)
    return _distinct(table, rows, [*features, *settings.targets]) if settings.deduplicate else rows


def _distinct(table: Table, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    first = table.frame.select(names)[rows].with_row_index(" place").unique(names, keep="first")[" place"]
    if len(first) < len(rows):
        report(f"note: {len(rows) - len(first)} rows repeat earlier ones, and are left out by deduplicate")
    return rows[np.sort(first.to_numpy())]


def _leave_out(keep: np.ndarray, cells: Cells, names: Sequence[str], reason: str) -> None:
    lacking = np.zeros(len(keep), bool)
    for missing in cells.missing(names).values():
        lacking |= missing
    if count := int((keep & lacking).sum()):
        report(f"note: {count} of {len(keep)} rows {reason}, and are left out")
    keep &= ~lacking
