"""Reinforcement learning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner import Loop
from runner.build import build
from runner.compose import compose
from runner.datasets import nothing
from runner.scenarios.ppo import PPO

KEY = jax.random.key(0)
SMALL = [
    "scenario=ppo",
    "net.hidden_sizes=[8]",
    "scenario.environments=4",
    "scenario.rollout=16",
    "scenario.episodes=3",
]


def test_advantages_equal_a_plain_loop_and_what_is_cut_off_is_worth_what_was_expected():
    scenario = build(compose(SMALL)).scenario
    random = np.random.default_rng(0)
    reward, value, after = random.normal(size=(3, 9, 2)).astype(np.float32)
    terminated, truncated = random.random((2, 9, 2)) < 0.3
    found = scenario.advantages(*map(jnp.asarray, (reward, value, after, terminated, terminated | truncated)))
    expected = np.zeros((10, 2))
    for t in reversed(range(9)):
        error = reward[t] + 0.99 * np.where(terminated[t], 0, after[t]) - value[t]
        expected[t] = error + 0.99 * 0.95 * np.where(terminated[t] | truncated[t], 0, expected[t + 1])
    np.testing.assert_allclose(found, expected[:-1], rtol=1e-4, atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Counter:
    """Ends after three steps; an action is worth its number."""

    observation_shape = (1,)
    actions = 2

    def reset(self, key):
        return jnp.zeros((), jnp.int32)

    def observe(self, state):
        return state[None].astype(jnp.float32)

    def step(self, key, state, action):
        return state + 1, action.astype(jnp.float32), state + 1 >= 3, jnp.array(False)


def test_returns_are_of_episodes_that_ended_and_carry_over_from_step_to_step():
    parts = build(compose(SMALL)).scenario
    scenario = dataclasses.replace(parts, environment=Counter(), rollout=4, environments=5, minibatches=2)
    state = scenario.init(KEY, nothing().spec)
    step = jax.jit(scenario.step)
    counts = []
    for number in range(3):
        state, metrics = step(jax.random.key(number), state, {})
        counts.append(int(metrics["return"].count))
        assert 0 <= metrics["return"].total <= 3 * counts[-1]
    assert counts == [5, 5, 10]  # after steps 3, 6, and 9 and 12


@dataclasses.dataclass(frozen=True)
class Clock(Counter):
    """Is cut off by time after three steps."""

    def step(self, key, state, action):
        return state + 1, action.astype(jnp.float32), jnp.array(False), state + 1 >= 3


def test_what_follows_a_cut_is_what_was_seen_last_and_not_the_new_beginning():
    parts = build(compose(SMALL)).scenario
    scenario = dataclasses.replace(parts, environment=Clock())
    state = scenario.init(KEY, nothing().spec)
    _, (seen, _) = jax.lax.scan(scenario._act, state, jax.random.split(KEY, 6))
    assert seen.observation[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert seen.after[:, 0, 0].tolist() == [1, 2, 3, 1, 2, 3]
    assert seen.ended[:, 0].tolist() == [False, False, True] * 2
    assert not seen.terminated.any()


def test_it_learns_the_action_that_is_worth_more():
    parts = build(compose([*SMALL, "optimizer.learning_rate=0.02", "scenario.discount=0.5"])).scenario
    scenario = dataclasses.replace(parts, environment=Counter())
    state = Loop(steps=30).run(scenario, nothing(), key=KEY)
    assert scenario.evaluate(KEY, state, {})["return"].tolist() == [3.0] * 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("environments=0", "environments: 0 is less than 1"),
        ("rollout=0", "rollout: 0 is less than 1"),
        ("discount=1.5", "discount: 1.5 is not from 0 to 1"),
        ("trace_decay=-0.1", "trace_decay: -0.1 is not from 0 to 1"),
        ("clip=0.0", "clip: 0.0 is not above 0"),
        ("minibatches=3", "minibatches: 3 do not divide 16 x 128 transitions"),
    ],
)
def test_settings_out_of_range_are_refused_by_their_key(setting, message):
    with pytest.raises(ValueError, match=f"scenario.{message}"):
        build(compose(["scenario=ppo", f"scenario.{setting}"]))


@pytest.mark.slow
def test_the_pole_stands():
    parts = build(compose(["scenario=ppo", "steps=50"]))
    state = Loop(steps=50).run(parts.scenario, parts.dataset, key=KEY)
    assert isinstance(parts.scenario, PPO)
    assert parts.scenario.evaluate(jax.random.key(9), state, {})["return"].mean() > 200
