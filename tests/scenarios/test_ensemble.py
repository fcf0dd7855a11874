"""Several members as one scenario, and parts held still."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.cli import main
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import Mean, Spec
from runner.evaluators import Means
from runner.runs.saved_run import open_run
from runner.scenarios import Ensemble, Frozen

SMALL = ["net.hidden_sizes=[8]", "dataset.batch_size=8"]
KEY = jax.random.key(0)


def batch(dataset):
    feed = dataset.train.feed(KEY, 0, 1)
    return dataset.train.batch(KEY, jax.tree.map(lambda rows: rows[0], feed))


@pytest.mark.parametrize("scenario", ["supervised", "regression", "gan", "vae"])
def test_each_member_makes_the_steps_that_it_would_make_alone(scenario):
    parts = build(compose([f"scenario={scenario}", "dataset.batch_size=8", "net.hidden_sizes=[8]"]))
    alone, dataset = parts.scenario, parts.dataset
    ensemble = Ensemble(alone, 3)
    data = batch(dataset) if scenario != "gan" else {"x": batch(dataset)["x"][None]}
    state = jax.jit(ensemble.init)(KEY, dataset.spec)
    state, metrics = jax.jit(ensemble.step)(jax.random.key(1), state, data)
    for member in range(3):
        own = alone.init(jax.random.split(KEY, 3)[member], dataset.spec)
        own, numbers = jax.jit(alone.step)(jax.random.split(jax.random.key(1), 3)[member], own, data)
        for one, leaf in zip(jax.tree.leaves(own), jax.tree.leaves(state), strict=True):
            assert np.linalg.norm(leaf[member] - one) <= 1e-3 * (1 + np.linalg.norm(one))
        for name, value in numbers.items():
            np.testing.assert_allclose(metrics[f"{name}/{member}"], value, rtol=1e-4)


def test_members_begin_with_different_values():
    parts = build(compose([*SMALL, "ensemble=3"]))
    weights = parts.scenario.init(KEY, parts.dataset.spec).net.params["linear"]["w"]
    assert not np.allclose(weights[0], weights[1])


def test_the_mean_prediction_averages_probabilities_not_logits():
    parts = build(compose([*SMALL, "ensemble=3"]))
    state = parts.scenario.init(KEY, parts.dataset.spec)
    x = jax.random.normal(KEY, (5, 8, 8, 1)) * 30
    members = [
        parts.scenario.scenario.predict(jax.tree.map(lambda leaf, i=i: leaf[i], state), x) for i in range(3)
    ]
    mean = np.mean([jax.nn.softmax(logits) for logits in members], axis=0)
    np.testing.assert_allclose(jnp.exp(parts.scenario.predict(state, x)), mean, atol=1e-5)


def test_an_ensemble_is_evaluated_by_its_mean_prediction_and_each_member_by_its_own():
    parts = build(compose(["scenario=regression", *SMALL, "ensemble=3"]))
    state = parts.scenario.init(KEY, parts.dataset.spec)
    metrics, figures = Means()(KEY, parts.scenario, state, parts.dataset.validation)
    x, y = parts.dataset.validation.arrays["x"], parts.dataset.validation.arrays["y"]
    error = np.square(parts.scenario.predict(state, x) - y).mean() ** 0.5
    np.testing.assert_allclose(metrics["rmse"], error, rtol=1e-5)
    members = [metrics[f"rmse/{member}"] for member in range(3)]
    assert metrics["rmse"] < np.mean(members)
    assert {"r2", "r2/0", "r2/1", "r2/2"} <= metrics.keys()
    assert "fit" in figures


def test_samples_come_of_the_members_in_turn():
    @dataclasses.dataclass(frozen=True)
    class Constant:
        def sample(self, key, state, n):
            return jnp.full((n, 2), state)

    drawn = Ensemble(Constant(), 3).sample(KEY, jnp.array([0.0, 1.0, 2.0]), 7)
    assert drawn[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_a_metric_that_is_absent_at_some_steps_is_weighed_by_its_count():
    class State(NamedTuple):
        total: jax.Array
        count: jax.Array

    @dataclasses.dataclass(frozen=True)
    class Sometimes:
        def step(self, key, state, batch):
            return state, {"return": Mean(state.total, state.count)}

    state = State(jnp.array([6.0, 0.0]), jnp.array([2, 0]))
    _, metrics = Ensemble(Sometimes(), 2).step(KEY, state, {})
    assert (float(metrics["return"].total), int(metrics["return"].count)) == (6.0, 2)
    assert int(metrics["return/1"].count) == 0


def test_an_ensemble_can_what_its_members_can_and_no_more():
    supervised = build(compose([*SMALL, "ensemble=2"])).scenario
    assert hasattr(supervised, "predict")
    assert not hasattr(supervised, "sample")
    assert not hasattr(supervised, "summarize")


def test_an_ensemble_of_none_is_refused():
    with pytest.raises(ValueError, match="ensemble: 0"):
        Ensemble(None, 0)
    with pytest.raises(ValueError, match="ensemble: 0 is less than 1"):
        compose(["ensemble=0"])


def test_a_frozen_part_keeps_its_values_and_the_other_parts_learn():
    parts = build(compose([*SMALL, "freeze=net.params.linear"]))
    scenario = parts.scenario
    assert isinstance(scenario, Frozen)
    state = scenario.init(KEY, parts.dataset.spec)
    after, _ = jax.jit(scenario.step)(KEY, state, batch(parts.dataset))
    before, after = state.net.params, after.net.params
    assert np.array_equal(before["linear"]["w"], after["linear"]["w"])
    assert not np.array_equal(before["output"]["w"], after["output"]["w"])


def test_what_is_watched_is_recorded_a_number_as_it_is_and_more_by_its_norm():
    parts = build(compose(["experiment=line", "watch=[net.params,net.opt_state]"]))
    state = parts.scenario.init(KEY, parts.dataset.spec)
    after, metrics = parts.scenario.step(KEY, state, batch(parts.dataset))
    assert metrics["net.params.output.w"] == after.net.params["output"]["w"][0, 0]
    assert metrics["net.opt_state.0.trace.output.b"] == after.net.opt_state[0].trace["output"]["b"][0]
    parts = build(compose([*SMALL, "watch=net.params"]))
    state = parts.scenario.init(KEY, parts.dataset.spec)
    after, metrics = parts.scenario.step(KEY, state, batch(parts.dataset))
    norm = np.linalg.norm(after.net.params["linear"]["w"])
    np.testing.assert_allclose(metrics["net.params.linear.w"], norm, rtol=1e-5)
    assert not any("opt_state" in name for name in metrics)


def test_a_name_ends_where_a_part_of_it_ends():
    parts = build(compose(["net.hidden_sizes=[8,8]", "freeze=[net.params.linear]"]))
    state = parts.scenario.init(KEY, parts.dataset.spec)
    after, _ = jax.jit(parts.scenario.step)(KEY, state, batch(parts.dataset))
    assert not np.array_equal(state.net.params["linear_1"]["w"], after.net.params["linear_1"]["w"])


def test_freezing_what_is_not_there_is_refused():
    parts = build(compose([*SMALL, "freeze=[net.params.nothing]"]))
    with pytest.raises(
        ValueError, match=r"freeze: nothing is named net.params.nothing; there are net.params"
    ):
        parts.scenario.init(KEY, Spec.of(parts.dataset.train.arrays, classes=10))


def test_an_ensemble_runs_opens_again_and_samples(tmp_path):
    main(["scenario=gan", *SMALL, "ensemble=2", "steps=4", "evaluation.size=16", "hydra.run.dir=run"])
    run = open_run("run")
    assert run.sample(5).shape == (5, 2)
    row = next(row for row in run.records if "validation/energy_distance" in row)
    assert {"validation/generator_loss/0", "validation/generator_loss/1"} <= row.keys()
    assert row["validation/weights"] == "average"
    metrics, _ = run.evaluate()
    assert metrics["energy_distance"] == row["validation/energy_distance"]
