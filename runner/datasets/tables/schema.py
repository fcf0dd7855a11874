"""From the cells of a table to features, by columns that the training rows determine."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from runner.core import Column
from runner.datasets.tables.cells import Cells
from runner.datasets.tables.problems import refuse_all
from runner.datasets.tables.settings import TableSettings

MISSING = "missing"  # the category of cells without a text
FILLS = {"mean": np.mean, "median": np.median}
FAR = 1000  # standard deviations from 0, where the rounding to float32 is a ten thousandth of one


def fit(cells: Cells, names: Sequence[str], rows: np.ndarray, settings: TableSettings) -> list[Column]:
    """Returns the columns that the training rows determine.

    Raises:
        ValueError: the training rows have no value in a column.
    """
    train = cells.take(rows)
    numbers, texts = train.numbers, train.texts
    gaps = np.asarray(np.any(np.isnan(numbers), axis=0))
    fills = _of_filled(FILLS[settings.missing], numbers, gaps) if settings.fills else [None] * len(gaps)
    known = zip(cells.names, fills, offsets_of(numbers, gaps, settings), list(gaps), strict=True)
    columns = {
        name: Column(
            name,
            dates=cells.dates.get(name),
            offset=float(offset),
            fill=None if fill is None else float(fill),
            indicator=bool(gap and settings.indicator),
        )
        for name, fill, offset, gap in known
    }
    lacks = np.all(np.isnan(numbers), axis=0)
    empty = {cells.names[index] for index in np.flatnonzero(lacks)}
    empty |= {name for name, column in texts.items() if column.is_null().all()}
    refuse_all(
        settings.path,
        [f"{name}: has no value in the training rows; drop the column" for name in names if name in empty],
    )
    return [columns.get(name) or _categories(name, texts[name], settings) for name in names]


def _of_filled(find: Callable[..., np.ndarray], numbers: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Returns a statistic of each column without its missing cells, or NaN if all are missing."""
    found = np.array(find(numbers, 0))
    for index in np.flatnonzero(gaps):
        filled = numbers[~np.isnan(numbers[:, index]), index]
        found[index] = find(filled) if len(filled) else np.nan
    return found


def offsets_of(numbers: np.ndarray, gaps: np.ndarray, settings: TableSettings) -> np.ndarray:
    """Returns the mean of each column of which float32 would lose digits, and 0 for the others."""
    if settings.rules == 1:
        return np.zeros(len(gaps))
    mean, std = (_of_filled(find, numbers, gaps) for find in (np.mean, np.std))
    return np.where((std > 0) & (np.abs(mean) > FAR * std), mean, 0)


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
