"""Losses of policies over numbered actions, from logits `[B, actions]`."""

import jax
import jax.numpy as jnp
import optax

from runner.core import Key, maximized, minimized, undirected


def draw_action(key: Key, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws an action from each distribution; returns the actions and their log probabilities, both `[B]`."""
    action = jax.random.categorical(key, logits)
    return action, _log_probability(logits, action)


#: The declared metrics of a policy and a value net in training.
DECLARED = {
    **undirected(
        policy_loss="clipped surrogate loss, relative to the policy before the update",
        entropy="entropy of the policy in nats",
        approximate_kl="divergence of the updated policy from the one that acted, in nats",
        clip_fraction="share of the actions whose gradient is cut off",
    ),
    **minimized(value_loss="half the squared error of the predicted returns"),
    **maximized(**{"return": "sum of the rewards of an episode"}),
}


def clipped_surrogate(
    logits: jax.Array, action: jax.Array, old: jax.Array, advantages: jax.Array, clip: float
) -> dict[str, jax.Array]:
    """Computes the clipped surrogate loss of proximal policy optimization, and what describes the update.

    Args:
        logits: of the policy in training, [B, actions].
        action: that was taken, [B].
        old: log probability of the action under the policy that chose it, [B].
        advantages: of the actions, [B].
        clip: how far the ratio of the two probabilities may move from 1 before its gradient is cut off.

    Returns:
        Arrays [B]: `policy_loss`, the `entropy` of the policy in nats, `approximate_kl` (the estimate
        (ratio - 1) - log ratio of the divergence of the two policies), and `clip_fraction`, whether the ratio is
        out of the clip.

    Source: Schulman et al. 2017, equation 7.
    """
    change = _log_probability(logits, action) - old
    ratio = jnp.exp(change)
    clipped = jnp.clip(ratio, 1 - clip, 1 + clip)
    return {
        "policy_loss": -jnp.minimum(ratio * advantages, clipped * advantages),
        "entropy": optax.losses.softmax_cross_entropy(logits, jax.nn.softmax(logits)),
        "approximate_kl": ratio - 1 - change,
        "clip_fraction": jnp.abs(ratio - 1) > clip,
    }


def _log_probability(logits: jax.Array, action: jax.Array) -> jax.Array:
    return -optax.losses.softmax_cross_entropy_with_integer_labels(logits, action)
