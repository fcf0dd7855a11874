"""Autoregressive decoding: tokens sampled one after the other from a causal net."""

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
    """Samples `length` tokens after a prompt: `[n, P + length]`. Without a prompt the first token is uniform.

    Args:
        predict: tokens [n, context] -> logits of the next token at each position [n, context, V]; the net is causal,
            so that tokens after a position do not affect its logits.
        key: the key from which all tokens are sampled.
        n: the number of sequences.
        prompt: P tokens.
        length: the number of new tokens.
        context: the largest number of tokens that `predict` accepts; earlier tokens are dropped.
        temperature: divides the logits; below 1, probable tokens become more probable.
    """

    def step(carry, key):
        window, count = carry  # tokens [n, context], of which the first `count` are known
        logits = predict(window)[:, jnp.maximum(count - 1, 0)]
        token = jax.random.categorical(key, jnp.where(count > 0, logits / temperature, 0.0))
        window = jnp.where(count < context, window, jnp.roll(window, -1, axis=1))
        count = jnp.minimum(count + 1, context)
        return (window.at[:, count - 1].set(token), count), token

    recent = jnp.array(prompt[-context:], jnp.int32)
    window = jnp.zeros((n, context), jnp.int32).at[:, : len(recent)].set(recent[None])
    _, tokens = jax.lax.scan(step, (window, jnp.int32(len(recent))), jax.random.split(key, length))
    prompts = jnp.broadcast_to(jnp.array(prompt, jnp.int32)[None], (n, len(prompt)))
    return jnp.concatenate([prompts, tokens.T], axis=1)
