"""Losses of numbers that optax has not."""

import jax
import jax.numpy as jnp


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Gives |predictions - targets|, in their shape."""
    return jnp.abs(predictions - targets)
