"""A user's own tables."""

from pathlib import Path
from typing import Any

from runner.core import Dataset, Spec
from runner.datasets.files import read
from runner.datasets.inputs import Inputs
from runner.datasets.tables.settings import TableSettings


def csv(
    path: str,
    target: str,
    task: str | None = None,
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
) -> Dataset:
    """Reads a table of numbers and texts, whose columns are separated by commas, semicolons or tabs.

    A column of numbers is one feature of x [N, features]; a column of texts is one 0/1 feature for each of its
    categories. The target becomes classes y [N], or targets of a regression y [N, 1].

    Args:
        path: the file, UTF-8.
        target: name of the column to predict; all other columns are features.
        task: "classification", "regression", or None: classification if the target holds texts, or whole numbers
            with at most 32 distinct values.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.

    Raises:
        ValueError: the file cannot be read as a table, a cell is empty or does not fit its column, or the target is
            missing or does not fit the task.
    """
    settings = TableSettings(**locals())
    from runner.datasets.tables.assembly import assemble_table
    from runner.datasets.tables.csv_file import read_csv

    return assemble_table(read_csv(path, read(path)), settings)


def read_rows(path: str | Path, spec: Spec) -> Inputs:
    """Reads the features x [N, features] of another table, from the columns that a spec names.

    Raises:
        ValueError: the spec has no columns, the file cannot be read as a table, or a column is missing.
    """
    from runner.datasets.tables.csv_file import read_csv
    from runner.datasets.tables.others import features_of

    return features_of(read_csv(str(path), read(path)), spec)


def frame_rows(frame: Any, spec: Spec) -> Inputs:
    """Returns the features x [N, features] of a data frame of polars or pandas, as `read_rows` does."""
    import polars as pl

    from runner.datasets.tables.csv_file import read_csv
    from runner.datasets.tables.others import features_of

    if not isinstance(frame, pl.DataFrame):
        frame = pl.DataFrame({str(name): [*frame[name]] for name in frame.columns}, strict=False)
    return features_of(read_csv("the data frame", frame.fill_nan(None).write_csv().encode()), spec)
