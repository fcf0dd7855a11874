"""From a table to a dataset."""

import numpy as np

from runner.core import Dataset
from runner.datasets.splits import split
from runner.datasets.tables.cells import Cells, interpret
from runner.datasets.tables.notation import NUMBERS
from runner.datasets.tables.schema import Encoder, fit
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table import Problem, Table
from runner.datasets.tables.targets import read_targets

CATEGORIES = 100  # of one text feature; a column with more probably holds names or dates
FILL = "fill it or remove the row"


def assemble_table(table: Table, settings: TableSettings) -> Dataset:
    """Returns the dataset that settings make of a table.

    Raises:
        ValueError: a column is missing, or a cell does not fit its column.
    """
    features = _features(table, settings)
    cells = interpret(table, [*features, *settings.targets])
    refuse(table, cells, settings)
    y, labels = read_targets(cells, settings)
    columns = fit(cells, features, np.arange(cells.size), settings)
    known = {"classes": len(labels), "labels": labels} if labels else {}
    return split(
        {"x": Encoder(cells, columns).x, "y": y},
        settings.batch_size,
        settings.split_seed,
        settings.validation,
        settings.test,
        columns=columns,
        target=settings.targets[0],
        **known,
    )


def _features(table: Table, settings: TableSettings) -> list[str]:
    header, path = table.header, settings.path
    if len(header) == 1:
        raise ValueError(
            f"path: {path} has one column, {header[0]!r}; commas, semicolons, tabs or | part columns"
        )
    for target in settings.targets:
        if target not in header:
            raise ValueError(f"target: {path} has no column {target!r}; it has {', '.join(header)}")
    return [name for name in header if name not in settings.targets]


def refuse(table: Table, cells: Cells, settings: TableSettings) -> None:
    """Raises an error if a cell is missing or does not fit its column, or a column of texts has too many of them."""
    problems = [*cells.misfits, *_gaps(cells)]
    if problems:
        raise ValueError(table.describe(problems[:1])[0])
    for name, texts in cells.texts.items():
        if name not in settings.targets and (count := texts.n_unique()) > CATEGORIES:
            raise ValueError(
                f"{name}: {count} different texts in {settings.path}; a text feature may have"
                f" {CATEGORIES}: write it as numbers or remove the column"
            )


def _gaps(cells: Cells) -> list[Problem]:
    missing = np.isnan(cells.numbers)
    numbers = [(cells.names[index], missing[:, index], NUMBERS) for index in np.flatnonzero(missing.any(0))]
    texts = [(name, column.is_null().to_numpy(), FILL) for name, column in cells.texts.items()]
    return [Problem(name, int(rows.argmax()), need) for name, rows, need in [*numbers, *texts] if rows.any()]
