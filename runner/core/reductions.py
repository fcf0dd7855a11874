"""Reductions over the axes of an example, and over distributions."""

import jax
import jax.numpy as jnp


def per_example(values: jax.Array) -> jax.Array:
    """Returns the mean over all axes but the first: `[B, ...] -> [B]`."""
    return values.reshape(len(values), -1).mean(1)


def weighted_mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Returns the mean of values `[B]`, of which each counts by its weight `[B]`, or all equally; 0 if all weigh 0."""
    if weights is None:
        return values.mean()
    total = weights.sum()
    return (values * weights).sum() / jnp.where(total > 0, total, 1)


def mean_of_logits(logits: jax.Array) -> jax.Array:
    """Returns the logits `[..., C]` of the mean of K distributions, whose logits are `[K, ..., C]`."""
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0) - jnp.log(len(logits))
