"""Layers that several nets share."""

import math
from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from runner.nets.settings import ACTIVATIONS, find


class BatchNorm(hk.Module):
    """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015, algorithms 1 and 2).

    Unlike in `hk.BatchNorm`, the moving variance starts at 1, so that an untrained net can be evaluated (from 0, each
    layer multiplies by 300), and the variance of a batch is not computed as a difference of squares, which can become
    negative by rounding.
    """

    def __call__(self, x: jax.Array, is_training: bool) -> jax.Array:
        """Normalises by the statistics of the batch in training, and by the moving averages otherwise."""
        shape, axes = x.shape[-1:], tuple(range(x.ndim - 1))
        mean = hk.get_state("mean", shape, x.dtype, jnp.zeros)
        variance = hk.get_state("variance", shape, x.dtype, jnp.ones)
        if is_training:
            batch_mean, batch_variance = x.mean(axes), x.var(axes)
            hk.set_state("mean", 0.9 * mean + 0.1 * batch_mean)
            hk.set_state("variance", 0.9 * variance + 0.1 * batch_variance)
            mean, variance = batch_mean, batch_variance
        factor = hk.get_parameter("scale", shape, x.dtype, jnp.ones) * jax.lax.rsqrt(variance + 1e-5)
        offset = hk.get_parameter("offset", shape, x.dtype, jnp.zeros)
        mean, factor, offset = (jnp.broadcast_to(values, x.shape) for values in (mean, factor, offset))
        return (x - mean) * factor + offset


def layer_norm(x: jax.Array) -> jax.Array:
    """Normalises each example over its last axis (Ba et al. 2016)."""
    return hk.LayerNorm(axis=-1, param_axis=-1, create_scale=True, create_offset=True)(x)


NORMALIZATIONS: dict[str | None, Callable[[jax.Array, bool], jax.Array]] = {
    None: lambda x, is_training: x,
    "batch": lambda x, is_training: BatchNorm()(x, is_training),
    "layer": lambda x, is_training: layer_norm(x),
}


def activated(
    activation: str, normalization: str | None
) -> tuple[Callable[[jax.Array, bool], jax.Array], bool]:
    """Returns what follows a layer: normalization and activation, in one function.

    Returns:
        The function of the output of a layer and of `is_training`, and whether the layer needs a bias, which batch
        normalization would cancel.

    Raises:
        ValueError: a name is unknown.
    """
    activate = find("activation", activation, ACTIVATIONS)
    normalize = find("normalization", normalization, NORMALIZATIONS)
    return lambda x, is_training: activate(normalize(x, is_training)), normalization != "batch"


def drop_out(x: jax.Array, rate: float | None, is_training: bool) -> jax.Array:
    """Sets a fraction of the units to zero in training, and scales the others up (Srivastava et al. 2014)."""
    return hk.dropout(hk.next_rng_key(), rate, x) if rate and is_training else x


def noise_embedding(variance: jax.Array, size: int, max_frequency: float) -> jax.Array:
    """Computes sines and cosines `[B, size]` of variances `[B]`.

    The frequencies are geometrically spaced from 1 to the highest.


    Source: Vaswani et al. 2017, section 3.5, as in Keras's example "Denoising Diffusion Implicit Models".
    """
    frequencies = jnp.exp(jnp.linspace(0.0, math.log(max_frequency), size // 2))
    angles = 2 * jnp.pi * jnp.outer(variance, frequencies)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def as_floats(x: jax.Array) -> jax.Array:
    """Converts whole numbers, such as the bytes of an image, to floats; Haiku would create integer weights for them."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)


def as_images(x: jax.Array, net: str) -> jax.Array:
    """Returns images x `[B, H, W, C]` as floats.

    Raises:
        ValueError: x does not have four axes.
    """
    if x.ndim != 4:
        shape = list(x.shape[1:])
        raise ValueError(
            f"{net} needs images [height, width, channels], not inputs {shape}: take mlp for these"
        )
    return as_floats(x)


def flatten(x: jax.Array) -> jax.Array:
    """Flattens each example to a vector: `[B, ...]` to `[B, N]`."""
    return as_floats(x).reshape(len(x), math.prod(x.shape[1:]))


def output(x: jax.Array, shape: Sequence[int], w_init: Callable | None = None) -> jax.Array:
    """Maps x `[B, ...]` linearly to `[B, *shape]`."""
    return hk.Linear(math.prod(shape), w_init=w_init, name="output")(flatten(x)).reshape(len(x), *shape)
