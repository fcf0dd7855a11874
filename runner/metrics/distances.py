"""Distances between two sets of examples."""

import functools

import jax
import jax.numpy as jnp

BLOCK = 2**22  # numbers in the largest block of differences, 16 MB


@jax.jit
def energy_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes the energy distance of two distributions: `2 E|x - y| - E|x - x'| - E|y - y'|`.

    The estimate is unbiased (no example is compared with itself): for equal distributions it is about 0, and may be
    negative.

    Args:
        x: [N, ...], N at least 2; each example is one vector.
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


@functools.partial(jax.jit, static_argnames="projections")
def sliced_wasserstein(x: jax.Array, y: jax.Array, projections: int = 64) -> jax.Array:
    """Computes the mean 1-Wasserstein distance of the projections of two sets on random lines.

    The lines are the same in every call. Unlike the energy distance it is biased: between two sets of 2000 points of
    one distribution it is some hundredths of their standard deviation. For sets of different sizes, quantiles are
    compared.

    Args:
        x: [N, ...]; each example is one vector.
        y: [M, ...].
        projections: the number of lines.

    Source: Rabin et al. 2012, "Wasserstein barycenter and its application to texture mixing".
    """
    x, y = (examples.reshape(len(examples), -1).astype(jnp.float32) for examples in (x, y))
    lines = jax.random.normal(jax.random.key(0), (x.shape[1], projections))
    lines /= jnp.linalg.norm(lines, axis=0, keepdims=True)
    shares = (jnp.arange(max(len(x), len(y))) + 0.5) / max(len(x), len(y))
    quantile = lambda values: jnp.quantile(values, shares, axis=0)
    x, y = (jnp.sort(points @ lines, axis=0) for points in (x, y))
    return jnp.abs(x - y).mean() if len(x) == len(y) else jnp.abs(quantile(x) - quantile(y)).mean()


@jax.jit
def kernel_distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Computes the squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased: about 0 for equal sets.

    The kernel inception distance is this metric for the features of one certain net; report which features were used.

    Args:
        x: features [N, D], N at least 2.
        y: features [M, D], M at least 2.

    Source: Bińkowski et al. 2018, equation 4 and section 3.1; Gretton et al. 2012, lemma 6.
    """
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    within = lambda x: (_mean_kernel(x, x) * len(x) - _kernel(x, x).mean()) / (len(x) - 1)
    return within(x) + within(y) - 2 * _mean_kernel(x, y)


def _kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    return ((x * y).sum(-1) / x.shape[-1] + 1) ** 3


def _mean_kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    mean_of = lambda point: _kernel(jnp.broadcast_to(point, y.shape), y).mean()
    return jax.lax.map(mean_of, x, batch_size=max(1, min(len(x), BLOCK // y.size))).mean()
