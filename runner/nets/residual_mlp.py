"""A residual multi-layer perceptron that takes the noise variance of its input."""

import math
from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from runner.core import Net
from runner.nets.layers import flatten, layer_norm, noise_embedding
from runner.nets.settings import DEEPEST, cached, check_even, check_size, check_sizes


@cached
def residual_mlp(
    output_shape: Sequence[int],
    size: int = 256,
    blocks: int = 4,
    embedding_size: int = 32,
    max_frequency: float = 1000.0,
) -> Net:
    """Builds a net of noisy x `[B, ...]` and the variance of the noise `[B]`, for points and small images.

    The last layer starts at zero.

    Args:
        output_shape: shape of one output.
        size: units of each layer.
        blocks: number of residual blocks.
        embedding_size: number of sinusoids of the variance, an even number.
        max_frequency: highest frequency of the sinusoids; the lowest is 1.

    Raises:
        ValueError: a setting is out of its range.
    """
    check_sizes(output_shape=output_shape)
    check_size(size=size)
    check_size(blocks=blocks, most=DEEPEST)
    check_even("embedding_size", embedding_size)
    if not 1 <= max_frequency < math.inf:
        raise ValueError(f"max_frequency: {max_frequency} is not a finite number of at least 1")

    def forward(x, variance):
        embedding = noise_embedding(variance, embedding_size, max_frequency)
        x = hk.Linear(size)(jnp.concatenate([flatten(x), embedding], axis=-1))
        for _ in range(blocks):
            inner = jax.nn.silu(hk.Linear(size)(layer_norm(x)) + hk.Linear(size, with_bias=False)(embedding))
            x = x + hk.Linear(size)(inner)
        x = hk.Linear(math.prod(output_shape), w_init=jnp.zeros, name="output")(x)
        return x.reshape(len(x), *output_shape)

    return hk.transform_with_state(forward)
