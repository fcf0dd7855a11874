import math

import jax
import jax.numpy as jnp
import numpy as np

from runner.losses.policies import clipped_surrogate, draw_action

LOGITS = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]))
ACTION = jnp.array([0, 0, 1])


def surrogate(ratio, advantage):
    """Returns the terms for a policy whose probability of each action is `ratio` times the old one."""
    old = jnp.log(jnp.array([0.5, 0.9, 0.8])) - jnp.log(jnp.array(ratio))
    return clipped_surrogate(LOGITS, ACTION, old, jnp.array(advantage), 0.2)


def test_drawn_actions_come_with_their_log_probabilities():
    logits = jnp.broadcast_to(LOGITS[1], (2000, 2))
    action, log_probability = draw_action(jax.random.key(0), logits)
    np.testing.assert_allclose(jnp.exp(log_probability), jnp.where(action == 0, 0.9, 0.1), rtol=1e-5)
    assert 0.87 < (action == 0).mean() < 0.93


def test_the_surrogate_is_clipped_only_where_the_policy_has_moved_too_far_in_its_favour():
    values = surrogate([1.0, 1.5, 0.5], [2.0, 2.0, -2.0])
    np.testing.assert_allclose(values["policy_loss"], [-2.0, -1.2 * 2.0, 0.8 * 2.0], rtol=1e-5)
    values = surrogate([1.1, 1.5, 0.5], [2.0, -2.0, 2.0])
    np.testing.assert_allclose(values["policy_loss"], [-1.1 * 2.0, 1.5 * 2.0, -0.5 * 2.0], rtol=1e-5)


def test_the_terms_that_describe_an_update_are_those_of_their_names():
    values = surrogate([1.0, 1.5, 0.5], [1.0, 1.0, 1.0])
    entropy = [-sum(p * math.log(p) for p in row) for row in ([0.5, 0.5], [0.9, 0.1], [0.2, 0.8])]
    np.testing.assert_allclose(values["entropy"], entropy, rtol=1e-5)
    divergence = [0.0, 0.5 - math.log(1.5), -0.5 - math.log(0.5)]
    np.testing.assert_allclose(values["approximate_kl"], divergence, rtol=1e-4, atol=1e-6)
    assert values["clip_fraction"].tolist() == [False, True, True]
