"""The slower tests: that what is trained is learned, in the smallest number of steps that shows it."""

import jax
import numpy as np
import pytest

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose

pytestmark = pytest.mark.slow


def trained(*overrides):
    """Trains without files; gives the scenario, its state and what its evaluator says of the test split."""
    scenario, dataset, loop, evaluator = build(compose(list(overrides)))
    state = Loop(steps=loop.steps).run(scenario, dataset, key=jax.random.key(0))
    return scenario, state, evaluator(jax.random.key(1), scenario, state, dataset.test)[0]


@pytest.mark.parametrize("net", ["mlp", "cnn", "linear"])
def test_digits_are_classified(net):
    *_, metrics = trained(f"net={net}", "steps=400")
    assert metrics["accuracy"] > 0.9


def test_the_line_is_learned():
    _, state, metrics = trained("experiment=line", "steps=200")
    np.testing.assert_allclose(state.net.params["output"]["w"], 3, atol=1e-3)
    np.testing.assert_allclose(state.net.params["output"]["b"], 1, atol=1e-3)
    assert metrics["rmse"] < 1e-2


def test_diabetes_is_predicted_nearly_as_well_as_by_ridge_regression():
    *_, metrics = trained("experiment=diabetes")
    assert metrics["r2"] > 0.45


def test_a_gan_finds_the_modes_of_the_ring():
    *_, metrics = trained("scenario=gan", "steps=2500", "net.hidden_sizes=[64,64]")
    assert metrics["modes"] >= 7
    assert metrics["energy_distance"] < 0.05


@pytest.mark.parametrize(
    "game",
    [
        ["loss=hinge", "optimizer.b2=0.99"],
        ["loss=wasserstein", "scenario.r1=null", "scenario.gradient_penalty=1.0", "scenario.critic_steps=2"],
        ["loss=least_squares"],
    ],
)
def test_other_games_get_far_nearer_to_the_data_than_they_began(game):
    small = ["scenario=gan", "net.hidden_sizes=[64,64]", "evaluation.size=500", *game]
    *_, before = trained(*small, "steps=1")
    *_, after = trained(*small, "steps=1200")
    assert after["energy_distance"] < 0.2 * before["energy_distance"]


def test_one_batch_is_learned_by_heart():
    scenario, dataset, loop, _ = build(compose(["debug=overfit"]))
    losses = []

    class Last:
        def write(self, step, metrics, figures):
            losses.extend([metrics["loss"]] if metrics else [])

    Loop(steps=loop.steps).run(scenario, dataset, key=jax.random.key(0), writers=[Last()])
    assert losses[-1] < 1e-3
