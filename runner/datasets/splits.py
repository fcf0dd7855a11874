"""Splits of rows into training, validation and test data."""

from collections.abc import Mapping

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
    check("split_seed", split_seed, at_least(0))
    for name, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise ValueError(f"{name}: {fraction} is not a fraction of the rows, above 0 and below 1")
    counts = [max(1, round(fraction * size)) for fraction in fractions.values()]
    if sum(counts) >= size:
        requested = " and ".join(f"{name} {fraction}" for name, fraction in fractions.items())
        raise ValueError(f"{next(iter(fractions))}: {requested} of {size} rows leave none to train on")
    order = np.random.default_rng(split_seed).permutation(size)
    return [np.sort(rows) for rows in np.split(order, np.cumsum(counts))]


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
    warn_of(arrays)
    size = len(next(iter(arrays.values())))
    parts = cut(size, split_seed, test=test, validation=validation)
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
