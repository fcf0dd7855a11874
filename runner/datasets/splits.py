"""Splits of rows into training, validation and test data."""

from collections.abc import Mapping, Sequence

import numpy as np

from runner.core import Array, Dataset, Spec
from runner.core.bounds import at_least, check
from runner.datasets.checks import checked, warn_of
from runner.datasets.sources import Arrays

HELD_OUT_BATCH = 256  # rows; it changes the speed of an evaluation, not its result


def cut(size: int, split_seed: int, **fractions: float) -> list[np.ndarray]:
    """Draws disjoint sets of row numbers, each in ascending order: one for each named fraction, and the remaining rows.

    Each set has at least one row, and does not depend on the fractions named after it.

    Raises:
        ValueError: the seed is negative, a fraction is outside (0, 1), or no row remains.
    """
    counts = _counts(size, split_seed, fractions)
    order = np.random.default_rng(split_seed).permutation(size)
    return [np.sort(rows) for rows in np.split(order, np.cumsum(counts))]


def cut_by_class(y: np.ndarray, split_seed: int, **fractions: float) -> list[np.ndarray]:
    """Draws sets of row numbers as `cut` does, with about the same share of each class in each set.

    A class of two rows has one in the first set and one among the remaining rows, to which a class of one row belongs.

    Args:
        y: the class of each row.
        split_seed: the seed.
        **fractions: the shares of the sets, by their names.

    Raises:
        ValueError: as for `cut`, or no class has enough rows for a set.
    """
    _counts(len(y), split_seed, fractions)
    generator = np.random.default_rng(split_seed)
    parts = []
    for label in np.unique(y):
        rows = generator.permutation(np.flatnonzero(y == label))
        counts = [max(1, round(fraction * len(rows))) for fraction in fractions.values()]
        for index in reversed(range(len(counts))):  # at least one row remains
            counts[index] -= min(counts[index], max(0, sum(counts) - len(rows) + 1))
        parts.append(np.split(rows, np.cumsum(counts)))
    joined = [np.sort(np.concatenate(rows)) for rows in zip(*parts, strict=True)]
    for name, rows in zip(fractions, joined, strict=False):
        if not len(rows):
            raise ValueError(f"stratify: no class has a row for {name}; say stratify=false")
    return joined


def cut_by_group(groups: np.ndarray, split_seed: int, **fractions: float) -> list[np.ndarray]:
    """Draws sets of row numbers as `cut` does; rows of one group are in one set.

    Args:
        groups: the group of each row, a whole number.
        split_seed: the seed.
        **fractions: the shares of the sets, by their names.

    Raises:
        ValueError: as for `cut`, or there are too few groups.
    """
    counts = _counts(len(groups), split_seed, fractions)
    names, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(split_seed).permutation(len(names))
    ends, first = [], 0
    for count in counts:
        reached = np.cumsum(sizes[order[first:]])
        first += 1 + int(np.argmin(np.abs(reached - count))) if first < len(names) else 0
        ends.append(first)
    if first >= len(names):
        raise ValueError(f"group: {len(names)} groups are too few; none remains to train on")
    return [np.flatnonzero(np.isin(groups, names[chosen])) for chosen in np.split(order, ends)]


def cut_by_time(times: np.ndarray, split_seed: int, **fractions: float) -> list[np.ndarray]:
    """Returns sets of row numbers: the latest rows are the first set. Rows of one time are in one set.

    Args:
        times: the time of each row.
        split_seed: unused, because nothing is random.
        **fractions: the shares of the sets, by their names.

    Raises:
        ValueError: as for `cut`, or there are too few different times.
    """
    counts = _counts(len(times), split_seed, fractions)
    order = np.argsort(times, kind="stable")
    ordered, ends = times[order], []
    end = len(times)
    for count in counts:
        last = ordered[max(0, end - count - 1)]
        first = int(np.searchsorted(ordered[:end], last, "right"))  # a later row, if times are equal there
        end = first if first < end else int(np.searchsorted(ordered[:end], last, "left"))
        ends.append(end)
    if end <= 0:
        raise ValueError(
            f"time: {len(np.unique(times))} different times are too few; none remains to train on"
        )
    return [np.sort(rows) for rows in reversed(np.split(order, ends[::-1]))]


def _counts(size: int, split_seed: int, fractions: Mapping[str, float]) -> list[int]:
    """Returns the number of rows of each fraction; raises the errors of `cut`."""
    check("split_seed", split_seed, at_least(0))
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise ValueError(f"{name}: {fraction} is not a fraction of the rows, above 0 and below 1")
    counts = [max(1, round(fraction * size)) for fraction in fractions.values()]
    if sum(counts) >= size:
        requested = " and ".join(f"{name} {fraction}" for name, fraction in fractions.items())
        raise ValueError(f"{next(iter(fractions))}: {requested} of {size} rows leave none to train on")
    return counts


def split(
    arrays: Mapping[str, Array],
    batch_size: int | None,
    split_seed: int,
    validation: float,
    test: float,
    **known,
) -> Dataset:
    """Splits rows at random; `known` holds what `Spec.of` cannot compute from the training rows.

    Raises:
        ValueError: as for `checked`, `cut` and `Arrays`.
    """
    arrays = checked(arrays)  # before the split, so that an error names the row of the file
    size = len(next(iter(arrays.values())))
    return split_by(arrays, cut(size, split_seed, test=test, validation=validation), batch_size, **known)


def split_by(
    arrays: Mapping[str, Array], parts: Sequence[np.ndarray], batch_size: int | None, **known
) -> Dataset:
    """Splits rows into given parts: the numbers of the test, validation and training rows.

    Raises:
        ValueError: as for `checked` and `Arrays`.
    """
    arrays = checked(arrays)
    warn_of(arrays)
    held_test, held_validation, train = [
        {name: rows[part] for name, rows in arrays.items()} for part in parts
    ]
    return assemble(train, held_validation, held_test, batch_size, **known)


def assemble(
    train: Mapping[str, Array],
    validation: Mapping[str, Array],
    test: Mapping[str, Array],
    batch_size: int | None,
    **known,
) -> Dataset:
    """Creates the sources of a dataset.

    The held-out rows come in order, and take the spec of the training rows. `known` is passed to `Spec.of`.
    """
    train = checked(train)
    source = Arrays(train, batch_size, spec=Spec.of(train, **known))

    def held_out(arrays: Mapping[str, Array]) -> Arrays:
        return Arrays(arrays, min(HELD_OUT_BATCH, len(arrays["x"])), spec=source.spec, shuffle=False)

    return Dataset(source, held_out(validation), held_out(test))
