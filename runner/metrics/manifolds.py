"""Precision and recall: how much of each of two sets of examples is near the other."""

import functools

import jax
import jax.numpy as jnp

from runner.metrics.distances import BLOCK


@functools.partial(jax.jit, static_argnames="neighbours")
def precision_recall(x: jax.Array, y: jax.Array, neighbours: int = 3) -> tuple[jax.Array, jax.Array]:
    """Returns the fractions of generated examples near real ones, and of real ones near generated ones.

    An example is near a set if it is closer to some example of it than that is to its k-th neighbour in the set.
    Collapse keeps precision and loses recall, noise the reverse. For two real sets both are high, but not 1.

    Args:
        x: generated, [N, ...]; each example is one vector.
        y: real, [M, ...].
        neighbours: k, less than N and M.

    Raises:
        ValueError: a set is too small to have k neighbours.

    Source: Kynkäänniemi et al. 2019, equations 1 to 3.
    """
    if neighbours >= min(len(x), len(y)):
        raise ValueError(
            f"neighbours: {neighbours} need more than {min(len(x), len(y))} examples in each set"
        )
    x, y = (examples.reshape(len(examples), -1).astype(jnp.float32) for examples in (x, y))
    return _fraction_near(x, y, neighbours), _fraction_near(y, x, neighbours)


def _fraction_near(x: jax.Array, y: jax.Array, neighbours: int) -> jax.Array:
    reach = _each(y, lambda point: _reach(point, y, neighbours), y)
    return _each(x, lambda point: (_gaps(point, y) <= reach).any(), y).mean()


def _reach(point: jax.Array, y: jax.Array, neighbours: int) -> jax.Array:
    """Returns the distance of one of y to its k-th neighbour: the least but for the k nearest, one of them itself."""
    drop_nearest = lambda gaps, _: (gaps.at[gaps.argmin()].set(jnp.inf), None)
    # To sort all distances for a few of them takes ten times as long.
    return jax.lax.scan(drop_nearest, _gaps(point, y), length=neighbours)[0].min()


def _gaps(point: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.linalg.norm(point[None] - y, axis=1)


def _each(x: jax.Array, measure, y: jax.Array) -> jax.Array:
    return jax.lax.map(measure, x, batch_size=max(1, min(len(x), BLOCK // y.size)))
