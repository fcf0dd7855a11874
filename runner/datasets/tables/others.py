"""Other tables, whose columns a trained net knows."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from runner.core import Column, Spec
from runner.datasets.checks import report
from runner.datasets.inputs import Inputs
from runner.datasets.tables.cells import Cells, interpret
from runner.datasets.tables.notation import NUMBERS
from runner.datasets.tables.problems import FILL
from runner.datasets.tables.schema import Encoder
from runner.datasets.tables.table import MARKS, Problem, Table


def features_of(table: Table, spec: Spec) -> Inputs:
    """Returns features x [N, features] of the rows of a table whose cells all fit their columns.

    Raises:
        ValueError: the spec has no columns, or the table lacks one of them.
    """
    if not spec.columns:
        raise ValueError("path: this data has no named columns, so that a table cannot be read for it")
    absent = [column.name for column in spec.columns if column.name not in table.header]
    if absent:
        raise ValueError(f"{absent[0]}: {table.path} has no such column; it has {', '.join(table.header)}")
    known = {column.name: column for column in spec.columns}
    cells = interpret(table, list(known), known=known)
    encoder = Encoder(cells, spec.columns)
    _report_replaced(table.path, cells, encoder, known)
    problems: dict[int, Problem] = {}  # the first one of each row
    for problem in (*cells.misfits, *_problems(encoder, known)):
        problems.setdefault(problem.row, problem)
    bad = sorted(problems)
    rows = np.delete(np.arange(cells.size), bad)
    lines = table.describe([problems[row] for row in bad])
    written = table.original
    if written is None:
        written = pl.DataFrame(table.rows, schema=table.header, orient="row")
    return Inputs(encoder.x[rows], rows, (), tuple(lines), cells.size, written)


def _report_replaced(path: str, cells: Cells, encoder: Encoder, known: Mapping[str, Column]) -> None:
    """Reports texts that no training row has, and that count as others."""
    for name, rows in encoder.replaced.items():
        text, other = cells.texts[name][int(rows[0])], known[name].unseen
        count = f"{len(rows)} of {cells.size} rows of {path}"
        report(
            f"note: {name}: {count} have a text that no training row has, such as {text!r}; it counts as {other!r}"
        )


def rules_of(spec: Spec) -> int:
    """Returns the version of the rules to read another table by; marks such as NA are texts if one is a category."""
    known = {category for column in spec.columns for category in column.categories}
    return 1 if known & set(MARKS) else 2


def _problems(encoder: Encoder, known: Mapping[str, Column]) -> list[Problem]:
    needs = {name: FILL if column.categories else NUMBERS for name, column in known.items()}
    gaps = [Problem(name, row, needs[name]) for name, rows in encoder.gaps.items() for row in rows.tolist()]
    strangers = [
        Problem(name, row, f"known are {', '.join(known[name].categories)}")
        for name, rows in encoder.strangers.items()
        for row in rows.tolist()
    ]
    return gaps + strangers
