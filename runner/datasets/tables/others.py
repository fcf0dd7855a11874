"""Other tables, whose columns a trained net knows."""

import numpy as np

from runner.core import Column, Spec
from runner.datasets.files import read
from runner.datasets.tables.assembly import FILL
from runner.datasets.tables.cells import interpret
from runner.datasets.tables.csv_file import read_csv
from runner.datasets.tables.notation import NUMBERS
from runner.datasets.tables.schema import Encoder
from runner.datasets.tables.table import Problem, Table


def read_features(path: str, spec: Spec) -> tuple[np.ndarray, Table]:
    """Returns features x [N, features] of a table, and the table itself.

    Raises:
        ValueError: the file cannot be read as a table, a column is missing, or a cell does not fit its column.
    """
    if not spec.columns:
        raise ValueError("path: this data has no named columns, so that a table cannot be read for it")
    table = read_csv(path, read(path))
    absent = [column.name for column in spec.columns if column.name not in table.header]
    if absent:
        raise ValueError(f"{absent[0]}: {path} has no such column; it has {', '.join(table.header)}")
    known = {column.name: column for column in spec.columns}
    cells = interpret(table, list(known), known=known)
    encoder = Encoder(cells, spec.columns)
    problems = [*cells.misfits, *_problems(encoder, known)]
    if problems:
        raise ValueError(table.describe(problems[:1])[0])
    return encoder.x, table


def _problems(encoder: Encoder, known: dict[str, Column]) -> list[Problem]:
    gaps = [
        Problem(name, int(rows[0]), FILL if known[name].categories else NUMBERS)
        for name, rows in encoder.gaps.items()
    ]
    strangers = [
        Problem(name, int(rows[0]), f"known are {', '.join(known[name].categories)}")
        for name, rows in encoder.strangers.items()
    ]
    return gaps + strangers
