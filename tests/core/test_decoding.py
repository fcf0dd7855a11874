"""Autoregressive decoding."""

import jax
import jax.numpy as jnp
import numpy as np

from runner.core.decoding import write

KEY = jax.random.key(0)


def successor(tokens):
    """Each of five tokens is followed by the next."""
    return 50.0 * jax.nn.one_hot((tokens + 1) % 5, 5)


def test_tokens_continue_the_prompt_beyond_the_context():
    tokens = np.asarray(write(successor, KEY, 3, (4, 0), 9, 4, 1.0))
    assert tokens.tolist() == [[4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]] * 3


def test_only_the_last_tokens_of_a_long_prompt_are_seen():
    longest = lambda tokens: 50.0 * jax.nn.one_hot(jnp.broadcast_to(tokens[:, :1], tokens.shape), 5)
    tokens = np.asarray(write(longest, KEY, 2, (4, 3, 2, 1), 1, 2, 1.0))
    assert tokens[:, -1].tolist() == [2, 2]  # the first of the last two


def test_without_a_prompt_the_first_token_is_uniform_and_the_temperature_divides_the_logits():
    first = np.asarray(write(successor, KEY, 2000, (), 1, 4, 1.0))[:, 0]
    assert np.bincount(first, minlength=5).min() > 320
    pairs = lambda temperature: np.asarray(write(successor, KEY, 2000, (0,), 1, 4, temperature))
    assert (pairs(1.0)[:, 1] == 1).all()
    expected = np.exp(0.5) / (np.exp(0.5) + 4)
    np.testing.assert_allclose((pairs(100.0)[:, 1] == 1).mean(), expected, atol=0.04)
