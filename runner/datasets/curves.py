"""Points of known curves, for regressions whose solution is known."""

from collections.abc import Callable

import numpy as np

from runner.core import Array, Dataset
from runner.core.bounds import at_least, at_most, check
from runner.datasets.splits import assemble

MOST_POINTS = 10_000_000


def line(size: int = 200, noise: float | None = None, batch_size: int | None = None) -> Dataset:
    """Creates points of y = 3x + 1, with x evenly spaced on [-1, 1].

    Args:
        size: number of training points, x [N, 1] and y [N, 1]; the held-out points lie between them.
        noise: standard deviation of normal noise on y, the same in every run, or None.
        batch_size: points per batch, or None for all of them at each step.

    Raises:
        ValueError: there are fewer than two points, more than ten million or fewer than in a batch, or the noise is
            not above 0.
    """
    return _curve(lambda x: 3 * x + 1, 1.0, size, noise, batch_size)


def quadratic(size: int = 128, noise: float | None = None, batch_size: int | None = None) -> Dataset:
    """Creates points of y = x^2, with x evenly spaced on [-2, 2].

    Args:
        size: number of training points, x [N, 1] and y [N, 1]; the held-out points lie between them.
        noise: standard deviation of normal noise on y, the same in every run, or None.
        batch_size: points per batch, or None for all of them at each step.

    Raises:
        ValueError: there are fewer than two points, more than ten million or fewer than in a batch, or the noise is
            not above 0.
    """
    return _curve(np.square, 2.0, size, noise, batch_size)


def _curve(
    function: Callable[[np.ndarray], np.ndarray],
    end: float,
    size: int,
    noise: float | None,
    batch_size: int | None,
) -> Dataset:
    check("size", size, at_least(2), at_most(MOST_POINTS))
    if noise is not None and not 0 < noise < np.inf:
        raise ValueError(f"noise: {noise} is not a finite number above 0, or null for none")
    generator = np.random.default_rng(0)

    def points(x: np.ndarray) -> dict[str, Array]:
        error = 0.0 if noise is None else generator.normal(0.0, noise, x.shape)
        return {"x": x, "y": function(x) + error}

    x = np.linspace(-end, end, size)[:, None]
    third = (x[1] - x[0]) / 3
    return assemble(points(x), points(x[:-1] + third), points(x[:-1] + 2 * third), batch_size)
