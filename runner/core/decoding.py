"""Autoregressive decoding: tokens drawn one after the other from a causal net."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from runner.core.protocol import Key


def write(
    predict: Callable[[jax.Array], jax.Array],
    key: Key,
    n: int,
    prompt: tuple[int, ...],
    length: int,
    context: int,
    temperature: float,
) -> jax.Array:
    """Draws `length` tokens after those of a prompt: `[n, P + length]`. Without a prompt the first token is uniform.

    Args:
        predict: tokens [n, context] -> logits of the next token at each position [n, context, V]; the net is causal,
            so that tokens behind a position do not matter.
        key: of all tokens.
        n: the number of sequences.
        prompt: P tokens.
        length: the number of new tokens.
        context: the most tokens that `predict` takes; earlier ones are forgotten.
        temperature: divides the logits; below 1 probable tokens become more probable.
    """

    def step(carry, key):
        window, count = carry  # tokens [n, context], of which the first `count` are written
        logits = predict(window)[:, jnp.maximum(count - 1, 0)]
        token = jax.random.categorical(key, jnp.where(count > 0, logits / temperature, 0.0))
        window = jnp.where(count < context, window, jnp.roll(window, -1, axis=1))
        count = jnp.minimum(count + 1, context)
        return (window.at[:, count - 1].set(token), count), token

    seen = jnp.array(prompt[-context:], jnp.int32)
    window = jnp.zeros((n, context), jnp.int32).at[:, : len(seen)].set(seen[None])
    _, tokens = jax.lax.scan(step, (window, jnp.int32(len(seen))), jax.random.split(key, length))
    given = jnp.broadcast_to(jnp.array(prompt, jnp.int32)[None], (n, len(prompt)))
    return jnp.concatenate([given, tokens.T], axis=1)
