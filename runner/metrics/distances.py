"""Distances between two sets of examples."""

import jax
import jax.numpy as jnp

BLOCK = 2**22  # numbers in the largest block of differences: 16 MB


@jax.jit
def energy_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Measures how far apart two distributions are: 2 E|x - y| - E|x - x'| - E|y - y'|.

    The estimate is unbiased (no example is compared with itself): of equal distributions it is about 0, on
    either side.

    Args:
        x: [N, ...], N at least 2; each example is taken as one vector.
        y: [M, ...], M at least 2.

    Source: Székely and Rizzo 2013, "Energy statistics: A class of statistics based on distances".
    """
    x, y = (examples.reshape(len(examples), -1).astype(jnp.float32) for examples in (x, y))
    return 2 * _mean_gap(x, y) - _mean_gap_within(x) - _mean_gap_within(y)


def _mean_gap(x: jax.Array, y: jax.Array) -> jax.Array:
    # Means of means, not one long sum: float32 would lose the small difference of the large terms.
    def mean_gap_of(point):
        return jnp.linalg.norm(point[None] - y, axis=1).mean()

    return jax.lax.map(mean_gap_of, x, batch_size=max(1, min(len(x), BLOCK // y.size))).mean()


def _mean_gap_within(x: jax.Array) -> jax.Array:
    return _mean_gap(x, x) * len(x) / (len(x) - 1)
