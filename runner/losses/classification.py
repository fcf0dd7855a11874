"""Losses of classification that optax does not have."""

import jax
import jax.numpy as jnp

from runner.core.bounds import check, weight


def focal(logits: jax.Array, labels: jax.Array, gamma: float = 2.0) -> jax.Array:
    """Returns `-(1 - p)^gamma log p` for the probability p of the true class, `[B]`: examples that are easy count less.

    Args:
        logits: [B, C].
        labels: the classes [B].
        gamma: 0 is the cross entropy.

    Raises:
        ValueError: `gamma` is not a finite number from 0 up.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 4, for any number of classes.
    """
    check("gamma", gamma, weight)
    log_p = jax.nn.log_softmax(logits)
    is_true = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    # From logits, because 1 - p is 0 in float32 for confident predictions, where roots have no derivative.
    log_rest = jax.nn.logsumexp(log_p, axis=-1, where=~is_true)
    return -jnp.exp(gamma * log_rest) * jnp.where(is_true, log_p, 0).sum(-1)
