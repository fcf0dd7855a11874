"""The parts of a table: test, validation and training rows."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from runner.datasets.checks import report
from runner.datasets.splits import cut, cut_by_class, cut_by_group, cut_by_time
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table import Table
from runner.datasets.tables.targets import Targets


def parts_of(
    table: Table, cells: Cells, rows: np.ndarray, targets: Targets, settings: TableSettings
) -> list[np.ndarray]:
    """Returns the test, validation and training rows.

    Args:
        table: the table.
        cells: the cells of its rows that are used.
        rows: the numbers of these rows in the table.
        targets: the targets of these rows.
        settings: how to split.

    Raises:
        ValueError: as for the functions of `runner.datasets.splits`, or the column of a setting cannot be used.
    """
    seed, shares = settings.split_seed, {"test": settings.test, "validation": settings.validation}
    if settings.time is not None:
        times = cells.column(settings.time)
        if isinstance(times, pl.Series):
            raise ValueError(f"time: {settings.time} holds texts; need numbers or dates")
        return cut_by_time(times, seed, **shares)
    if settings.group is not None:
        groups = table.frame[settings.group].gather(rows)
        if groups.has_nulls():
            raise ValueError(f"group: {settings.group} has empty cells; fill them or remove their rows")
        return cut_by_group(groups.rank("dense").to_numpy() - 1, seed, **shares)
    if settings.stratify and targets.labels:
        return cut_by_class(targets.y, seed, **shares)
    return cut(len(rows), seed, **shares)


def report_parts(
    table: Table, rows: np.ndarray, names: Sequence[str], targets: Targets, parts: Sequence[np.ndarray]
) -> None:
    """Warns if a part lacks a class, or has rows that are equal to training rows in some columns."""
    labels = targets.labels
    hashes = table.frame.select(names).hash_rows().gather(rows)
    train = hashes.gather(parts[-1])
    for part, of in zip(parts, ("test", "validation", "training"), strict=True):
        absent = np.setdiff1d(np.arange(len(labels)), targets.y[part]) if labels else ()
        if len(absent):
            shown = ", ".join(labels[index] for index in absent[:5]) + (", ..." if len(absent) > 5 else "")
            report(f"warning: the {of} rows have none of {len(absent)} classes: {shown}")
        shared = 0 if of == "training" else int(hashes.gather(part).is_in(train.implode()).sum())
        if shared:
            report(
                f"warning: {shared} of {len(part)} {of} rows are equal to training rows; deduplicate=true keeps one of"
                " them"
            )
