"""Reinforcement learning."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose
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
