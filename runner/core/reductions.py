"""Reductions over the axes of an example, and over distributions."""

import jax
import jax.numpy as jnp


def per_example(values: jax.Array) -> jax.Array:
    """Returns the mean over all axes but the first: `[B, ...] -> [B]`."""
    return values.reshape(len(values), -1).mean(1)


def mean_of_logits(logits: jax.Array) -> jax.Array:
    """Returns the logits `[..., C]` of the mean of K distributions, whose logits are `[K, ..., C]`."""
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0) - jnp.log(len(logits))
