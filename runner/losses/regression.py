"""Losses of numbers that optax has not."""

import jax
import jax.numpy as jnp
import optax

from runner.bounds import check, positive


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Gives |predictions - targets|, in their shape."""
    return jnp.abs(predictions - targets)


def huber(predictions: jax.Array, targets: jax.Array, delta: float = 1.0) -> jax.Array:
    """Gives half the squared error up to `delta`, and what is straight beyond, in their shape.

    Raises:
        ValueError: a delta that is not above 0.
    """
    check("delta", delta, positive)
    return optax.losses.huber_loss(predictions, targets, delta=delta)
