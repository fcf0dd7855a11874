"""The settings of tables."""

import dataclasses
from collections.abc import Sequence

from runner.core.bounds import one_of, optional, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings:
    """What becomes of a table; the settings of all formats of files.

    Attributes:
        path: the file, which may be compressed by gzip, bzip2 or xz.
        target: the column to predict, or several columns of numbers.
        task: "classification", "regression", or None: classification if the target holds texts, or whole numbers
            with at most 32 distinct values.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.
        columns: the columns that become features; None for all that have no other use.
        drop: columns that are not used.
        categories: columns of numbers that stand for categories, such as months.
        missing: what a missing cell of a feature becomes: "refuse" for an error, "mean" or "median" of the training
            rows for numbers and the category "missing" for texts, or "drop_rows" to leave out its row. Unless it is
            "refuse", rows without a target are left out.
        indicator: whether a column of numbers, some of which the training rows lack, gets a 0/1 feature that says so.
        unseen: what a text becomes that no training row has: "replace" by the category "missing" if training rows lack
            some texts, otherwise by the most frequent category, or "refuse" for an error.
        weights: a column with the weight of each row in the loss, which becomes `weights` [N] in batches.
        group: a column whose equal cells stay in one part of the split, such as patients.
        time: a column by which the latest rows are the test rows, and those before them the validation rows.
        stratify: whether each part has the same share of each class.
        deduplicate: whether of equal rows only the first is kept.
        encoding: of text files, such as "cp1252"; None to detect UTF-8, UTF-16 and UTF-32, and otherwise cp1252.
        delimiter: what separates the cells of text files, or None to detect it.
        decimal: "," or "." in numbers as texts, or None to detect it in each column.
        rules: the version of the rules by which cells are read. 1, of runs saved by version 0.2: numbers are plain,
            only an empty cell is missing, and all rows determine the categories.
    """

    path: str
    target: str | Sequence[str]
    task: str | None = None
    batch_size: int | None = 64
    split_seed: int = 0
    validation: float = 0.15
    test: float = 0.15
    columns: Sequence[str] | None = None
    drop: Sequence[str] = ()
    categories: Sequence[str] = ()
    missing: str = "refuse"
    indicator: bool = False
    unseen: str = "replace"
    weights: str | None = None
    group: str | None = None
    time: str | None = None
    stratify: bool = True
    deduplicate: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    rules: int = 2

    def __post_init__(self):
        require(
            self,
            task=optional(one_of("classification", "regression")),
            missing=one_of("refuse", "mean", "median", "drop_rows"),
            unseen=one_of("replace", "refuse"),
            decimal=optional(one_of(",", ".")),
            rules=one_of(1, 2),
        )
        if self.group is not None and self.time is not None:
            raise ValueError("group: rows are held out by group or by time; leave out one of them")

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns to predict."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @property
    def fills(self) -> bool:
        """Whether missing cells get a value."""
        return self.missing in ("mean", "median")
