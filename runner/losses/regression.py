"""Losses of numbers that optax has not."""

import jax
import jax.numpy as jnp
import optax


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Gives |predictions - targets|, in their shape."""
    return jnp.abs(predictions - targets)


def huber(predictions: jax.Array, targets: jax.Array, delta: float = 1.0) -> jax.Array:
    """Gives half the squared error up to `delta`, and what is straight beyond, in their shape.

    Raises:
        ValueError: a delta that is not above 0.
    """
    if not delta > 0:
        raise ValueError(f"delta: {delta} is not above 0")
    return optax.losses.huber_loss(predictions, targets, delta=delta)
