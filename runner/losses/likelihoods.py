"""Likelihoods: the distribution of the data given the outputs of a decoder."""

import jax
import jax.numpy as jnp
import optax

from runner.core import Likelihood


def _half_squared_error(outputs: jax.Array, x: jax.Array) -> jax.Array:
    return optax.losses.l2_loss(outputs, x) + 0.5 * jnp.log(2 * jnp.pi)


#: Independent entries in [0, 1], given their logits.
bernoulli = Likelihood(optax.losses.sigmoid_binary_cross_entropy, jax.nn.sigmoid, (0.0, 1.0))
#: Independent entries of standard deviation 1, given their means.
gaussian = Likelihood(_half_squared_error, lambda outputs: outputs, None)
