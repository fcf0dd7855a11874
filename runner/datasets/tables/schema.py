"""From the cells of a table to features, by columns that the training rows determine."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.settings import TableSettings

MISSING = "missing"  # the category of cells without a text


def fit(cells: Cells, names: Sequence[str], rows: np.ndarray, settings: TableSettings) -> list[Column]:
    """Returns the columns that the training rows determine."""
    numbers = cells.numbers[rows]
    gaps, fills = np.any(np.isnan(numbers), axis=0), _fills(numbers, settings)
    columns = {
        name: Column(name, fill=fill, indicator=bool(gap and settings.indicator))
        for name, fill, gap in zip(cells.names, fills, list(gaps), strict=True)
    }
    return [
        _categories(name, cells.texts[name].gather(rows), settings) if name in cells.texts else columns[name]
        for name in names
    ]


def _fills(numbers: np.ndarray, settings: TableSettings) -> list[float | None]:
    if not settings.fills:
        return [None] * numbers.shape[1]
    find = np.nanmean if settings.missing == "mean" else np.nanmedian
    return find(numbers, 0).tolist()


def _categories(name: str, texts: pl.Series, settings: TableSettings) -> Column:
    categories = texts.drop_nulls().unique().sort().to_list()
    if texts.has_nulls() and MISSING not in categories:
        categories.append(MISSING)
    other = MISSING if texts.has_nulls() else str(texts.mode().sort()[0])
    return Column(
        name,
        tuple(categories),
        fill=other if settings.fills else None,
        unseen=other if settings.unseen == "replace" else None,
    )


class Encoder:
    """Features that are computed column by column.

    Args:
        cells: the cells of a table.
        columns: how they become features.

    Attributes:
        x: the features [N, ...], float32; NaN where `gaps` or `strangers` are.
        gaps: column -> rows of missing cells that nothing fills.
        strangers: column -> rows of texts that are no category, and do not count as one.
        replaced: column -> rows of texts that are no category, and count as another.
    """

    def __init__(self, cells: Cells, columns: Sequence[Column]):
        starts = np.cumsum([0, *(column.width for column in columns)])
        self.x = np.zeros((cells.size, starts[-1]), np.float32)
        self.gaps: dict[str, np.ndarray] = {}
        self.strangers: dict[str, np.ndarray] = {}
        self.replaced: dict[str, np.ndarray] = {}
        self._starts = dict(zip((column.name for column in columns), starts.tolist(), strict=False))
        self._numbers(cells, [column for column in columns if not column.categories])
        for column in columns:
            if column.categories:
                self._categories(cells.texts[column.name], column)

    def _numbers(self, cells: Cells, columns: Sequence[Column]) -> None:
        places = {name: index for index, name in enumerate(cells.names)}
        sources = [places[column.name] for column in columns]
        starts = [self._starts[column.name] for column in columns]
        self.x[:, _slice(starts)] = cells.numbers[:, _slice(sources)]
        missing = np.asarray(np.isnan(cells.numbers).any(0))
        for column, source, start in zip(columns, sources, starts, strict=True):
            if missing[source] or column.offset or column.indicator:
                self._number(cells.numbers[:, source], column, start)

    def _number(self, values: np.ndarray, column: Column, start: int) -> None:
        missing = np.isnan(values)
        if column.fill is None and missing.any():
            self.gaps[column.name] = np.flatnonzero(missing)
        filled = values if column.fill is None else np.where(missing, column.fill, values)
        self.x[:, start] = filled - column.offset
        if column.indicator:
            self.x[:, start + 1] = missing

    def _categories(self, texts: pl.Series, column: Column) -> None:
        start, categories = self._starts[column.name], list(column.categories)
        codes = texts.replace_strict(categories, range(len(categories)), default=-1, return_dtype=pl.Int64)
        codes, missing = codes.fill_null(-1).to_numpy(), texts.is_null().to_numpy()
        unknown = ~missing & (codes < 0)
        for rows, category, refused in (
            (missing, column.fill, self.gaps),
            (unknown, column.unseen, self.strangers),
        ):
            if category is not None:
                codes = np.where(rows, categories.index(str(category)), codes)
            elif rows.any():
                refused[column.name] = np.flatnonzero(rows)
        if column.unseen is not None and unknown.any():
            self.replaced[column.name] = np.flatnonzero(unknown)
        known = np.flatnonzero(codes >= 0)
        self.x[known, start + codes[known]] = 1
        self.x[codes < 0, start] = np.nan


def _slice(places: list[int]) -> slice | list[int]:
    """Returns places as a slice if they are consecutive, because it copies faster."""
    first, end = places[0] if places else 0, places[0] + len(places) if places else 0
    return slice(first, end) if places == list(range(first, end)) else places
