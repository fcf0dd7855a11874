"""A user's own tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.core import Dataset, Spec
from runner.datasets.inputs import Inputs
from runner.datasets.tables.settings import TableSettings


def csv(
    path: str,
    target: str | Sequence[str],
    task: str | None = None,
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    categories: Sequence[str] = (),
    missing: str = "refuse",
    indicator: bool = False,
    unseen: str = "refuse",
    weights: str | None = None,
    group: str | None = None,
    time: str | None = None,
    stratify: bool = False,
    deduplicate: bool = False,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    rules: int = 1,
) -> Dataset:
    """Reads a text file of rows and columns; `TableSettings` describes the settings.

    A column of numbers or dates is one feature of x [N, features], a column of texts one 0/1 feature for each of its
    categories. The target becomes classes y [N], or targets of a regression y [N, targets].

    Raises:
        ValueError: the file cannot be read as a table, or a column cannot be used.
    """
    return _read(TableSettings(**locals()), "text")


def parquet(
    path: str,
    target: str | Sequence[str],
    task: str | None = None,
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    categories: Sequence[str] = (),
    missing: str = "refuse",
    indicator: bool = False,
    unseen: str = "replace",
    weights: str | None = None,
    group: str | None = None,
    time: str | None = None,
    stratify: bool = True,
    deduplicate: bool = False,
) -> Dataset:
    """Reads a Parquet, Feather or Arrow file; the settings are those of `csv`."""
    return _read(TableSettings(**locals()), "columns")


def _read(settings: TableSettings, kind: str) -> Dataset:
    from runner.datasets.tables.assembly import assemble_table
    from runner.datasets.tables.table_file import read_table

    dialect = {name: getattr(settings, name) for name in ("encoding", "delimiter", "decimal")}
    return assemble_table(read_table(settings.path, kind=kind, rules=settings.rules, **dialect), settings)


def read_rows(path: str | Path, spec: Spec) -> Inputs:
    """Reads the features x [N, features] of another table, from the columns that a spec names.

    Raises:
        ValueError: the spec has no columns, the file cannot be read as a table, or a column is missing.
    """
    from runner.datasets.tables.others import features_of, rules_of
    from runner.datasets.tables.table_file import read_table

    return features_of(read_table(str(path), rules=rules_of(spec)), spec)


def frame_rows(frame: Any, spec: Spec) -> Inputs:
    """Returns the features x [N, features] of a data frame of polars or pandas, as `read_rows` does."""
    import polars as pl

    from runner.datasets.tables.others import features_of
    from runner.datasets.tables.table_file import table_of

    if not isinstance(frame, pl.DataFrame):
        objects = frame.astype(object).where(frame.notna(), None)
        frame = pl.DataFrame({str(name): objects[name].tolist() for name in frame.columns}, strict=False)
    return features_of(table_of("the data frame", frame), spec)
