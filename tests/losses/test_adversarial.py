import importlib
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import runner.losses
from runner.core import AdversarialLoss, Likelihood
from runner.losses import hinge, least_squares, minimax, non_saturating, wasserstein

CONFIGS = sorted(pathlib.Path(runner.losses.__file__).parents[1].glob("conf/loss/*.yaml"))
LOSSES = {name: getattr(runner.losses, name) for name in runner.losses.__all__}
GAMES = {name: loss for name, loss in LOSSES.items() if isinstance(loss, AdversarialLoss)}
LOG2 = math.log(2)
LOG_D = math.log(0.75)  # of the logit log 3
LOG_NOT_D = math.log(0.25)


@pytest.mark.parametrize(
    ("game", "generator", "discriminator"),
    [
        (minimax, [LOG_NOT_D, -LOG2], [-LOG_NOT_D - LOG_NOT_D, -LOG_D + LOG2]),
        (non_saturating, [-LOG_D, LOG2], [-LOG_NOT_D - LOG_NOT_D, -LOG_D + LOG2]),
        (
            least_squares,
            [0.5 * (math.log(3) - 1) ** 2, 0.5],
            [0.5 * (math.log(3) + 1) ** 2 + 0.5 * math.log(3) ** 2, 0.5 * (math.log(3) - 1) ** 2],
        ),
        (hinge, [-math.log(3), 0.0], [2 + 2 * math.log(3), 1.0]),
        (wasserstein, [-math.log(3), 0.0], [2 * math.log(3), -math.log(3)]),
    ],
    ids=["minimax", "non_saturating", "least_squares", "hinge", "wasserstein"],
)
def test_both_players_lose_what_the_equations_say(game, generator, discriminator):
    real, fake = jnp.log(jnp.array([1 / 3, 3.0])), jnp.log(jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(game.generator(fake), generator, rtol=1e-6)
    np.testing.assert_allclose(game.discriminator(real, fake), discriminator, rtol=1e-6)


@pytest.mark.parametrize("name", GAMES)
def test_losses_are_per_example_and_finite_with_finite_gradients_at_extreme_logits(name):
    game, logits = GAMES[name], jnp.array([-500.0, -500.0, 500.0, 500.0, 0.0])
    other = -logits
    losses = game.generator(logits), game.discriminator(logits, other)
    assert [loss.shape for loss in losses] == [(5,), (5,)]
    grads = (
        jax.grad(lambda f: game.generator(f).sum())(logits),
        *jax.grad(lambda r, f: game.discriminator(r, f).sum(), argnums=(0, 1))(logits, other),
    )
    assert all(bool(jnp.isfinite(values).all()) for values in (*losses, *grads))


def test_at_extreme_logits_the_saturating_game_has_no_slope_and_the_other_has_one():
    lost = jnp.float32(-500.0)  # a fake that the discriminator is sure of
    assert (minimax.generator(lost), jax.grad(minimax.generator)(lost)) == (0.0, 0.0)
    assert (non_saturating.generator(lost), jax.grad(non_saturating.generator)(lost)) == (500.0, -1.0)
    assert minimax.discriminator(-lost, lost) == 0.0
    assert minimax.discriminator(lost, -lost) == 1000.0


def test_the_hinge_ignores_what_is_beyond_its_margins():
    slope = jax.grad(lambda real, fake: hinge.discriminator(real, fake), argnums=(0, 1))
    assert slope(1.5, -1.5) == (0.0, 0.0)
    assert slope(0.5, -0.5) == (-1.0, 1.0)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_names_a_loss_that_gives_one_value_for_each_example(path):
    config = yaml.safe_load(path.read_text())
    module, name = config.pop("_target_").rsplit(".", 1)
    loss = getattr(importlib.import_module(module), name)
    assert config.pop("_partial_") is True
    if isinstance(loss, AdversarialLoss):
        assert (name, loss, config) == (path.stem, GAMES[path.stem], {})
    elif isinstance(loss, Likelihood):
        assert (name, loss, config) == (path.stem, LOSSES[path.stem], {})
        outputs = jnp.zeros((6, 3))
        assert loss.negative_log(outputs, outputs + 0.5).shape == loss.mean(outputs).shape == (6, 3)
    elif path.stem == "cross_entropy":
        np.testing.assert_allclose(
            loss(jnp.log(jnp.array([[3.0, 1.0]])), jnp.array([1]), **config), [math.log(4)]
        )
    elif path.stem == "focal":
        assert loss(jnp.zeros((6, 3)), jnp.ones(6, jnp.int32), **config).shape == (6,)
    else:
        assert loss(jnp.zeros((6, 3)), jnp.ones((6, 3)), **config).shape == (6, 3)


@pytest.mark.parametrize(
    ("name", "error", "value"),
    [
        ("squared_error", 2.0, 4.0),
        ("l2", 2.0, 2.0),
        ("huber", 0.5, 0.125),
        ("huber", 3.0, 2.5),
        ("log_cosh", 1.0, math.log(math.cosh(1))),
    ],
)
def test_regression_losses_have_the_factors_their_names_promise(name, error, value):
    config = yaml.safe_load(next(path for path in CONFIGS if path.stem == name).read_text())
    module, function = config.pop("_target_").rsplit(".", 1)
    config.pop("_partial_")
    loss = getattr(importlib.import_module(module), function)
    np.testing.assert_allclose(loss(jnp.array([1.0 + error]), jnp.array([1.0]), **config), [value], rtol=1e-5)
