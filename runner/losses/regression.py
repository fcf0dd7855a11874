"""Losses of regression that optax does not have."""

import jax
import jax.numpy as jnp
import optax

from runner.core.bounds import check, positive


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Returns `|predictions - targets|`, in their shape."""
    return jnp.abs(predictions - targets)


def huber(predictions: jax.Array, targets: jax.Array, delta: float = 1.0) -> jax.Array:
    """Returns half the squared error up to `delta`, and a linear function beyond, in the shape of the arguments.

    Raises:
        ValueError: `delta` is not above 0.
    """
    check("delta", delta, positive)
    return optax.losses.huber_loss(predictions, targets, delta=delta)
