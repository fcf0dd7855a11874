"""From a table to a dataset."""

from collections.abc import Sequence

import numpy as np

from runner.core import Column, Dataset
from runner.datasets.checks import report, tell
from runner.datasets.splits import split_by
from runner.datasets.tables.cells import Cells, interpret
from runner.datasets.tables.choice import features_of
from runner.datasets.tables.parts import parts_of, report_parts
from runner.datasets.tables.problems import check_cells, refuse_all
from runner.datasets.tables.rows import kept_rows
from runner.datasets.tables.schema import Encoder, fit
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.summary import summary
from runner.datasets.tables.table import Table
from runner.datasets.tables.targets import Targets, read_targets


def assemble_table(table: Table, settings: TableSettings) -> Dataset:
    """Returns the dataset that settings make of a table.

    Raises:
        ValueError: a setting names a column that does not exist, or a column cannot be used.
    """
    features = features_of(table, settings)
    others = [name for name in (settings.weights, settings.time) if name is not None]
    names = list(dict.fromkeys([*features, *settings.targets, *others]))
    cells = interpret(table, names, settings.categories, rules=settings.rules)
    check_cells(table, cells, features, settings)
    rows = kept_rows(table, cells, features, settings)
    cells = cells if len(rows) == cells.size else cells.take(rows)
    targets = read_targets(cells, settings)
    parts = parts_of(table, cells, rows, targets, settings)
    columns = fit(cells, features, parts[-1] if settings.rules > 1 else np.arange(len(rows)), settings)
    if settings.rules > 1:
        report_parts(table, rows, [*features, *settings.targets], targets, parts)
        tell(summary(cells, columns, targets, settings))
    arrays = {"x": _encode(cells, columns, settings), "y": targets.y, **_weights(cells, settings)}
    return split_by(arrays, parts, settings.batch_size, columns=columns, **_described(targets, settings))


def _described(targets: Targets, settings: TableSettings) -> dict[str, object]:
    """Returns the arguments of `Spec` that describe targets."""
    known: dict[str, object] = {"target": settings.targets[0] if len(settings.targets) == 1 else None}
    if targets.labels:
        known |= {"classes": len(targets.labels), "labels": targets.labels}
    elif settings.rules > 1:
        known["targets"] = targets.columns
    return known


def _weights(cells: Cells, settings: TableSettings) -> dict[str, np.ndarray]:
    if settings.weights is None:
        return {}
    weights = cells.column(settings.weights)
    if not isinstance(weights, np.ndarray) or weights.min() < 0 or not weights.any():
        raise ValueError(f"weights: {settings.weights} is no column of numbers from 0 up")
    return {"weights": weights.astype(np.float32)}


def _encode(cells: Cells, columns: Sequence[Column], settings: TableSettings) -> np.ndarray:
    """Returns the features of all rows; those that are held out may have texts that no training row has."""
    encoder = Encoder(cells, columns)
    held_out = {
        name: (len(rows), cells.texts[name][int(rows[0])])
        for name, rows in (encoder.strangers | encoder.replaced).items()
    }
    lines = {
        name: f"{name}: {count} held-out rows have a text that no training row has, such as {text!r}"
        for name, (count, text) in held_out.items()
    }
    refuse_all(settings.path, [f"{lines[name]}; say unseen=replace" for name in encoder.strangers])
    unseen = {column.name: column.unseen for column in columns}
    for name in encoder.replaced:
        report(f"note: {lines[name]}; it counts as {unseen[name]!r}")
    gaps = [f"{name}: held-out rows have no value" for name in encoder.gaps]
    refuse_all(settings.path, gaps)
    return encoder.x
