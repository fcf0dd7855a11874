"""Averages of the parameters of any scenario."""

import dataclasses
import inspect
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.cli import main
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import Spec, TrainState, named_leaves
from runner.runs.saved_run import open_run
from runner.scenarios import Averaged, Ensemble, Frozen, Regression
from runner.writers import parameter_table

KEY = jax.random.key(0)
NET = (
    lambda key, x: {"linear": {"w": jnp.ones((3, 1))}, "b": jnp.zeros(())},
    lambda params, x: x @ params["linear"]["w"] + params["b"],
)
PLAIN = Regression(NET, optax.adam(0.1), optax.squared_error)
X = np.random.default_rng(0).normal(2.0, 3.0, size=(16, 3)).astype(np.float32)
BATCH = {"x": X, "y": X.sum(1, keepdims=True) ** 2}
SPEC = Spec.of(BATCH)
LINE = ["experiment=line", "steps=4", "figures=false"]


def after(scenario, steps=4):
    """Returns the states after each of some steps, the first state included."""
    states = [scenario.init(KEY, SPEC)]
    for number in range(steps):
        states.append(scenario.step(jax.random.key(number), states[-1], BATCH)[0])
    return states


def equal(one, other):
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


def test_the_training_does_not_change_and_its_parameters_are_averaged():
    plain, averaged = after(PLAIN), after(Averaged(PLAIN, 0.8))
    for one, other in zip(plain, averaged, strict=True):
        assert equal(one.net, TrainState(*other.net[:3]))
    weights = 0.2 * 0.8 ** np.arange(4)[::-1] / (1 - 0.8**4)
    trained = [state.net.params["linear"]["w"] for state in plain[1:]]
    expected = sum(weight * value for weight, value in zip(weights, trained, strict=True))
    np.testing.assert_allclose(averaged[-1].net.average["linear"]["w"], expected, rtol=1e-6)
    assert int(averaged[-1].net.step) == 4


def test_what_uses_a_state_uses_the_averages():
    averaged = Averaged(PLAIN, 0.8)
    state = after(averaged)[-1]
    alone = state._replace(net=TrainState(state.net.average, *state.net[1:3]))
    assert np.array_equal(averaged.predict(state, X), PLAIN.predict(alone, X))
    assert not np.allclose(averaged.predict(state, X), PLAIN.predict(after(PLAIN)[-1], X), rtol=1e-3)
    assert equal(averaged.evaluate(KEY, state, BATCH), PLAIN.evaluate(KEY, alone, BATCH))
    outputs = PLAIN.predict(alone, X)
    assert equal(averaged.judge(state, outputs, BATCH), PLAIN.judge(alone, outputs, BATCH))
    assert inspect.signature(averaged.predict) == inspect.signature(PLAIN.predict)


@pytest.mark.parametrize("name", ["sample", "spread", "reconstruct", "features"])
def test_every_method_of_a_state_uses_the_averages(name):
    used = lambda *arguments: next(each for each in arguments if isinstance(each, TrainState)).params
    scenario = Averaged(type("Having", (Regression,), {name: staticmethod(used)})(*vars(PLAIN).values()), 0.5)
    net = after(scenario, 2)[-1].net
    assert equal(getattr(scenario, name)(KEY, net, 3), net.average)


def test_before_the_first_step_the_parameters_are_used():
    averaged = Averaged(PLAIN, 0.8)
    state = averaged.init(KEY, SPEC)
    warm = state._replace(
        net=state.net._replace(params=jax.tree.map(lambda leaf: leaf + 1, state.net.params))
    )
    plain = state._replace(net=TrainState(*warm.net[:3]))
    assert np.array_equal(averaged.predict(warm, X), PLAIN.predict(plain, X))


def test_a_frozen_part_is_its_own_average():
    scenario = Averaged(Frozen(PLAIN, ("net.params.linear",)), 0.8)
    net = after(scenario)[-1].net
    assert equal(net.average["linear"], net.params["linear"])
    assert not equal(net.average["b"], net.params["b"])


def test_the_members_of_an_ensemble_have_averages_of_their_own():
    parts = build(compose([*LINE, "ema=0.5", "freeze=net.params", "watch=net.average", "ensemble=2"]))
    ensemble = parts.scenario
    assert isinstance(ensemble, Ensemble)
    state = jax.eval_shape(ensemble.init, KEY, parts.dataset.spec)
    assert state.net.average["output"]["w"].shape == (2, 1, 1)
    assert state.net.step.shape == (2,)


def test_the_leaves_of_a_state_keep_their_names_and_the_table_of_parameters_its_rows():
    plain, averaged = PLAIN.init(KEY, SPEC), Averaged(PLAIN, 0.5).init(KEY, SPEC)
    new = {"net.average.b", "net.average.linear.w", "net.step"}
    assert named_leaves(averaged).keys() == named_leaves(plain).keys() | new
    assert parameter_table(averaged) == parameter_table(plain)


def test_another_average_and_a_state_without_nets_are_refused():
    with pytest.raises(
        ValueError, match=r"^ema: the scenario has an average of its own: set its decay by scenario\.ema"
    ):
        Averaged(Averaged(PLAIN, 0.9), 0.9)
    with pytest.raises(ValueError, match=r"^ema: 1\.5 is not a decay"):
        Averaged(PLAIN, 1.5)


class Counter(NamedTuple):
    count: jax.Array


@dataclasses.dataclass(frozen=True)
class Counting:
    """A scenario without a net."""

    def init(self, key, spec):
        return Counter(jnp.int32(0))

    def step(self, key, state, batch):
        return Counter(state.count + 1), {}

    def evaluate(self, key, state, batch):
        return {}


def test_a_scenario_without_nets_is_refused():
    with pytest.raises(ValueError, match=r"^ema: the state of this scenario has no net, a TrainState"):
        Averaged(Counting(), 0.9).init(KEY, SPEC)


def test_a_run_with_averages_starts_from_one_without_and_says_what_was_evaluated():
    main([*LINE, "hydra.run.dir=raw"])
    main([*LINE, "ema=0.9", "init_from=raw", "init_names=net.params", "hydra.run.dir=run"])
    raw, run = open_run("raw"), open_run("run")
    first, last = run.records[0], run.records[-1]
    expected = {name: value for name, value in raw.records[-1].items() if "validation/" in name}
    assert first == {"step": 0} | expected | {"validation/weights": "average"}
    assert run.info.weights == last["validation/weights"] == "average"
    state, x = run.state(4), np.float32([[1.0], [2.0]])
    alone = state._replace(net=TrainState(state.net.average, *state.net[1:3]))
    np.testing.assert_allclose(run.predict(x, step=4), raw.scenario.predict(alone, x), rtol=1e-5)
    main(["evaluate", "run", "step=4"])
    evaluation = json.loads(Path("run/evaluations/4.json").read_text())
    assert evaluation["weights"] == "average"
