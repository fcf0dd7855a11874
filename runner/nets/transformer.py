"""A causal transformer."""

from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from runner.core import Net
from runner.core.bounds import Bound, check
from runner.nets.layers import drop_out, layer_norm
from runner.nets.settings import DEEPEST, cached, check_dropout, check_size, check_sizes

one_size = Bound(lambda value: len(value) == 1, "{value} is not a vocabulary, such as [64]")


@cached
def transformer(
    output_shape: Sequence[int],
    size: int = 64,
    layers: int = 2,
    heads: int = 4,
    max_length: int = 256,
    dropout: float | None = None,
) -> Net:
    """Builds a net of tokens `[B, T]` whose output `[B, T, V]` at each position does not depend on later tokens.

    Args:
        output_shape: [V], which is also the size of the vocabulary of the tokens.
        size: size of the vector at each position.
        layers: number of layers, each of attention and a two-layer perceptron of 4 x size units.
        heads: number of attention heads, which divides `size`.
        max_length: largest number of positions T.
        dropout: fraction of units dropped before each addition, or None.

    Raises:
        ValueError: a setting is out of its range; when called, x is not a sequence of tokens, or too long.

    Source: Vaswani et al. 2017, the decoder alone, normalised before each layer, with learned positions and GELU as in
    GPT-2 (Radford et al. 2019).
    """
    check_sizes(output_shape=output_shape)
    check("output_shape", list(output_shape), one_size)
    check_size(size=size, heads=heads, max_length=max_length)
    check_size(layers=layers, most=DEEPEST)
    check_dropout(dropout)
    check("heads", heads, Bound(lambda value: size % value == 0, f"{{value}} do not divide size {size}"))
    (vocabulary,) = output_shape

    def forward(x, is_training):
        x = drop_out(_embed(x, vocabulary, size, max_length), dropout, is_training)
        for _ in range(layers):
            x = x + drop_out(_attend(layer_norm(x), heads), dropout, is_training)
            x = x + drop_out(_feed_forward(layer_norm(x)), dropout, is_training)
        return hk.Linear(vocabulary, name="output")(layer_norm(x))

    return hk.transform_with_state(forward)


def _embed(x: jax.Array, vocabulary: int, size: int, max_length: int) -> jax.Array:
    """Returns the sum of the embeddings of tokens `[B, T]` and of their positions, `[B, T, size]`."""
    if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.integer):
        raise ValueError(
            f"transformer needs rows of tokens, not {x.dtype}{list(x.shape[1:])}: take mlp for these"
        )
    positions = x.shape[1]
    if positions > max_length:
        raise ValueError(f"max_length: {max_length} positions are fewer than the {positions} of x")
    small = hk.initializers.RandomNormal(0.02)
    table = hk.get_parameter("positions", (max_length, size), init=small)[None, :positions]
    x = hk.Embed(vocabulary, size, w_init=small)(x)
    return x + jnp.broadcast_to(table, x.shape)


def _feed_forward(x: jax.Array) -> jax.Array:
    size = x.shape[-1]
    return hk.Linear(size)(jax.nn.gelu(hk.Linear(4 * size)(x)))


def _attend(x: jax.Array, heads: int) -> jax.Array:
    """Computes self-attention over x `[B, T, size]`: each position attends to itself and to those before it."""
    batch, positions, size = x.shape
    split = lambda x: x.reshape(batch, positions, heads, size // heads)
    query, key, value = (split(part) for part in jnp.split(hk.Linear(3 * size)(x), 3, axis=-1))
    attended = jax.nn.dot_product_attention(query, key, value, is_causal=True)
    return hk.Linear(size)(attended.reshape(batch, positions, size))
