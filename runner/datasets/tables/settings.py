"""The settings of tables."""

import dataclasses
from collections.abc import Sequence

from runner.core.bounds import one_of, optional, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings:
    """What becomes of a table, in the same words for all formats of files.

    Attributes:
        path: the file.
        target: the name of the column to predict, or of several columns of numbers.
        task: "classification", "regression", or None: classification if the target holds texts, or whole numbers
            with at most 32 distinct values.
        columns: the columns that become features; None for all that have no other use.
        drop: columns that are not used.
        categories: columns of numbers that stand for categories, such as months.
        missing: what a missing cell of a feature becomes: "refuse" for an error, "mean" or "median" of the training
            rows for numbers and the category "missing" for texts, or "drop_rows" to leave out its row.
        indicator: whether each column in which training rows lack a number gets another feature, which says so.
        unseen: what a text becomes that no training row has: "replace" by the category "missing" if training rows lack
            texts, and otherwise by the most frequent one, or "refuse" for an error.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.
        rules: the version of the rules by which cells are read. 1, of runs saved by version 0.2: numbers are plain,
            only an empty cell is missing, and all rows determine the categories.
    """

    path: str
    target: str | Sequence[str]
    task: str | None = None
    columns: Sequence[str] | None = None
    drop: Sequence[str] = ()
    categories: Sequence[str] = ()
    missing: str = "refuse"
    indicator: bool = False
    unseen: str = "refuse"
    batch_size: int | None = 64
    split_seed: int = 0
    validation: float = 0.15
    test: float = 0.15
    rules: int = 1

    def __post_init__(self):
        require(
            self,
            task=optional(one_of("classification", "regression")),
            missing=one_of("refuse", "mean", "median", "drop_rows"),
            unseen=one_of("replace", "refuse"),
            rules=one_of(1, 2),
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns to predict."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @property
    def fills(self) -> bool:
        """Whether missing cells get a value."""
        return self.missing in ("mean", "median")
