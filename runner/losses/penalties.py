"""Penalties on the gradient of a discriminator, per example: `logits` maps x `[B, ...]` to `[B]`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from runner.core import Key

Logits = Callable[[jax.Array], jax.Array]


def squared_gradient_norm(logits: Logits, x: jax.Array) -> jax.Array:
    """Returns the squared norm of the gradient of each logit with respect to its own example: `[B]`.

    Half of it, at real x, is the penalty R1. One backward pass is enough because the logit of an example does not
    depend on the others. With batch normalization it does, and the gradient is that of the sum of the logits.

    Source: Mescheder et al. 2018, equation 9.
    """
    return jnp.square(jax.grad(lambda x: logits(x).sum())(x)).reshape(len(x), -1).sum(1)


def gradient_penalty(logits: Logits, key: Key, real: jax.Array, fake: jax.Array) -> jax.Array:
    """Returns (gradient norm - 1)^2 of each logit at a random point between a real and a fake example: `[B]`.

    Source: Gulrajani et al. 2017, equation 3.
    """
    share = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
    squared = squared_gradient_norm(logits, share * real + (1 - share) * fake)
    return jnp.square(jnp.sqrt(squared + 1e-12) - 1)  # the derivative of sqrt at 0 is infinite
