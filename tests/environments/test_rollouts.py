import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import Mean
from runner.environments import rollouts
from runner.environments.rollouts import Transitions

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Clock:
    """Shows its time, and ends after three steps, by a time limit or not; the reward is the action."""

    truncates: bool
    observation_shape = (1,)
    actions = 2

    def reset(self, key):
        return jnp.zeros((), jnp.int32)

    def observe(self, state):
        return state[None].astype(jnp.float32)

    def step(self, key, state, action):
        over = state + 1 >= 3
        return state + 1, action.astype(jnp.float32), over & (not self.truncates), over & self.truncates


def one(key, observation):
    """Always takes action 1, with log probability 0."""
    return jnp.ones(len(observation), jnp.int32), jnp.zeros(len(observation))


def collected(truncates, steps, returns=(0.0, 0.0)):
    clock = Clock(truncates)
    states = rollouts.reset(clock, KEY, 2)
    return rollouts.collect(clock, one, KEY, steps, states, jnp.array(returns))


@pytest.mark.parametrize("truncates", [True, False])
def test_the_observation_after_the_last_step_is_that_before_the_reset(truncates):
    seen = collected(truncates, 6).seen
    assert seen.observation[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert seen.after[:, 0, 0].tolist() == [1, 2, 3, 1, 2, 3]
    assert seen.ended[:, 0].tolist() == [False, False, True] * 2
    assert seen.terminated[:, 0].tolist() == [False, False, not truncates] * 2


def test_returns_carry_over_and_count_where_an_episode_ends():
    new = collected(True, 5, returns=(10.0, 0.0))
    assert new.finished == Mean(10.0 + 3.0 + 3.0, 2)
    assert new.returns.tolist() == [2.0, 2.0]
    assert new.states.tolist() == [2, 2]


def test_an_episode_that_is_played_ends_once():
    returns = rollouts.play(Clock(False), lambda observation: jnp.ones(len(observation), jnp.int32), KEY, 4)
    assert returns.tolist() == [3.0] * 4


def test_advantages_equal_a_plain_loop_and_a_truncated_episode_keeps_its_expected_value():
    random = np.random.default_rng(0)
    reward, value, after = random.normal(size=(3, 9, 2)).astype(np.float32)
    terminated, truncated = random.random((2, 9, 2)) < 0.3
    unused = jnp.zeros((9, 2))
    arrays = map(jnp.asarray, (reward, after, terminated, terminated | truncated))
    seen = Transitions(jnp.asarray(value), unused, unused, *arrays)
    found, targets = rollouts.advantages(seen, lambda observation: observation, 0.99, 0.95)
    expected = np.zeros((10, 2))
    for t in reversed(range(9)):
        error = reward[t] + 0.99 * np.where(terminated[t], 0, after[t]) - value[t]
        expected[t] = error + 0.99 * 0.95 * np.where(terminated[t] | truncated[t], 0, expected[t + 1])
    np.testing.assert_allclose(found, expected[:-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(targets, expected[:-1] + value, rtol=1e-4, atol=1e-5)


def test_each_pass_over_the_minibatches_uses_every_row_once_in_another_order():
    def learn(key, rows_seen, number, twice):
        np.testing.assert_array_equal(number.shape, (4,))
        return rows_seen.at[number].add(1), {"row": number.mean(), "twice": twice.mean()}

    rows = jnp.arange(12), 2.0 * jnp.arange(12)
    keys = tuple(jax.random.split(KEY))
    count, metrics = rollouts.learn_by_minibatches(learn, jnp.zeros(12), rows, keys, 5, 3)
    assert count.tolist() == [5] * 12
    np.testing.assert_allclose([metrics["row"], metrics["twice"]], [5.5, 11.0], rtol=1e-6)


def test_passes_go_over_the_rows_in_random_orders():
    first_rows = lambda key, seen, number: (seen.at[number[0]].add(1), {})
    keys = tuple(jax.random.split(KEY))
    first, _ = rollouts.learn_by_minibatches(first_rows, jnp.zeros(12), (jnp.arange(12),), keys, 8, 1)
    assert 1 < (first > 0).sum() <= 8


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2**20, 2**11, 1), "^environments: 1048576 x 2048 transitions are too many to number"),
        ((16, 128, 3), "^minibatches: 3 do not divide 16 x 128 transitions"),
    ],
)
def test_sizes_of_a_rollout_that_do_not_fit_are_rejected(sizes, message):
    with pytest.raises(ValueError, match=message):
        rollouts.check_sizes(*sizes)
