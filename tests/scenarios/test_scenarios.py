import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import Loop
from runner.core import Spec
from runner.datasets import Arrays
from runner.evaluators import Means
from runner.losses import hinge, non_saturating, wasserstein
from runner.scenarios import GAN, Ensemble, Regression, Supervised
from runner.testing.tracing import counted

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)


def test_regression_standardises_by_the_training_rows_and_evaluates_in_the_units_of_the_targets():
    y = 1000 + 50 * X[:, :1]
    scenario = Regression(hk.transform(lambda x: hk.Linear(1)(x)), optax.adam(0.1), optax.squared_error)
    source = Arrays({"x": 7 + 3 * X, "y": y}, None)
    state = Loop(steps=300).run(scenario, source, key=KEY)
    np.testing.assert_allclose(state.targets.mean, y.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scenario.predict(state, 7 + 3 * X), y, atol=1.0)
    metrics, _ = Means()(KEY, scenario, state, source)
    assert metrics["rmse"] < 1.0
    assert metrics["r2"] > 0.999


@pytest.mark.parametrize("offset", [0.0, -300.0, 1e4, 1e5])
def test_r2_rmse_and_mae_of_ragged_batches_are_those_of_scikit_learn_however_far_from_zero(offset):
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    net = (lambda key, x: {"w": jnp.ones((3, 1))}, lambda params, x: x @ params["w"] + offset)
    scenario = Regression(net, optax.sgd(0.1), optax.squared_error, standardize=False)
    y = np.float32(X.sum(1, keepdims=True) + np.random.default_rng(1).normal(size=(40, 1)) + offset)
    source = Arrays({"x": X, "y": y}, 7, shuffle=False)
    state = scenario.init(KEY, source.spec)
    metrics, _ = Means()(KEY, scenario, state, source)
    predicted = scenario.predict(state, X)
    np.testing.assert_allclose(metrics["rmse"], root_mean_squared_error(y, predicted), rtol=1e-5)
    np.testing.assert_allclose(metrics["mae"], mean_absolute_error(y, predicted), rtol=1e-5)
    np.testing.assert_allclose(metrics["r2"], r2_score(y, predicted), rtol=1e-4)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_r2_of_several_targets_is_that_of_scikit_learn_weighted_by_their_variances(shape, members):
    from sklearn.metrics import mean_absolute_error, r2_score

    centre, spread = np.float32([-300.0, 0.0, 40.0]), np.float32([5.0, 1.0, 0.2])
    net = (
        lambda key, x: {"w": jnp.eye(3)},
        lambda params, x: (x @ params["w"] + centre[None]).reshape(-1, *shape),
    )
    alone = Regression(net, optax.sgd(0.1), optax.squared_error, standardize=False)
    scenario = alone if members == 1 else Ensemble(alone, members)
    y = X * spread + centre + np.float32([0.0, 0.5, 0.5])
    source = Arrays({"x": X, "y": y.reshape(-1, *shape)}, 7, shuffle=False)
    state = scenario.init(KEY, source.spec)
    metrics, _ = Means()(KEY, scenario, state, source)
    predicted = np.asarray(scenario.predict(state, X)).reshape(-1, 3)
    expected = r2_score(y, predicted, multioutput="variance_weighted")
    names = ["r2", *(f"r2/{member}" for member in range(members) if members > 1)]
    np.testing.assert_allclose([metrics[name] for name in names], expected, rtol=1e-3)
    np.testing.assert_allclose(metrics["mae"], mean_absolute_error(y, predicted), rtol=1e-5)
    assert abs(expected - r2_score(y, predicted)) > 1  # the mean over the targets, without weights
    assert metrics.keys() == {
        *names,
        *(name for name in metrics if name.partition("/")[0] in ("loss", "rmse", "mae")),
    }


@pytest.mark.parametrize("constant", [[0], [0, 2], [0, 1, 2]])
def test_targets_that_are_constant_in_the_held_out_rows_do_not_count_in_r2(constant):
    from sklearn.metrics import r2_score, root_mean_squared_error

    net = lambda key, x: {"w": jnp.eye(3)}, lambda params, x: x @ params["w"]
    scenario = Regression(net, optax.sgd(0.1), optax.squared_error, standardize=False)
    y = X + np.float32([0.5, 1.0, -0.5])
    train = scenario.init(KEY, Arrays({"x": X, "y": y}, 7).spec)
    y[:, constant] = 1.5
    metrics, _ = Means()(KEY, scenario, train, Arrays({"x": X, "y": y}, 7, shuffle=False))
    expected = np.nan if len(constant) == 3 else r2_score(y, X, multioutput="variance_weighted")
    np.testing.assert_allclose(metrics["r2"], expected, rtol=1e-4)
    rmse = root_mean_squared_error(y, X, multioutput="raw_values")
    np.testing.assert_allclose(metrics["rmse"], (rmse**2).mean() ** 0.5, rtol=1e-5)


def test_accuracy_and_log_loss_of_ragged_batches_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, log_loss

    net = (lambda key, x: {"w": jnp.eye(3)}, lambda params, x: 3 * x @ params["w"])
    scenario = Supervised(net, optax.sgd(0.1), optax.losses.softmax_cross_entropy_with_integer_labels, False)
    y = np.int32(np.random.default_rng(2).integers(0, 3, 40))
    source = Arrays({"x": X, "y": y}, 7, shuffle=False)
    metrics, _ = Means()(KEY, scenario, scenario.init(KEY, source.spec), source)
    odds = np.exp(np.float64(3 * X))
    np.testing.assert_allclose(metrics["loss"], log_loss(y, odds / odds.sum(1, keepdims=True)), rtol=1e-5)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(y, X.argmax(1)), abs=1e-12)


def weighted(class_weights):
    net = (lambda key, x: {"w": jnp.eye(3)}, lambda params, x: x @ params["w"])
    loss = optax.losses.softmax_cross_entropy_with_integer_labels
    return Supervised(net, optax.sgd(0.1), loss, False, class_weights=class_weights)


def test_the_losses_of_classes_are_weighted_as_in_scikit_learn():
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_class_weight

    y = np.int32([0] * 20 + [1] * 16 + [2] * 4)
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=y)
    odds = np.exp(np.float64(X))
    for setting, weights in (("balanced", balanced), ([1.0, 0.0, 5.0], np.array([1.0, 0.0, 5.0]))):
        source = Arrays({"x": X, "y": y}, None)
        scenario = weighted(setting)
        state = scenario.init(KEY, source.spec)
        np.testing.assert_allclose(state.weights, weights, rtol=1e-6)
        each = log_loss(y, odds / odds.sum(1, keepdims=True), sample_weight=weights[y]) * weights[y].mean()
        _, metrics = scenario.step(KEY, state, {"x": X, "y": y})
        np.testing.assert_allclose(metrics["loss"], each, rtol=1e-5)
        np.testing.assert_allclose(
            scenario.evaluate(KEY, state, {"x": X, "y": y})["loss"].mean(), each, rtol=1e-5
        )


def test_class_weights_that_do_not_fit_are_refused():
    spec = Spec.of({"x": X, "y": np.arange(40) % 3})
    with pytest.raises(ValueError, match=r"^class_weights: 2 weights, but the data has 3 classes"):
        weighted([1.0, 2.0]).init(KEY, spec)
    for wrong in ("equal", [1.0, -1.0, 1.0], [1.0, float("inf"), 1.0]):
        with pytest.raises(
            ValueError, match=r"^class_weights: .* is neither null, balanced nor a list of finite"
        ):
            weighted(wrong)


def test_a_class_without_training_rows_has_no_weight():
    spec = Spec.of({"x": X, "y": np.arange(40) % 2}, classes=3)
    np.testing.assert_allclose(weighted("balanced").init(KEY, spec).weights, [2 / 3, 2 / 3, 0], rtol=1e-6)


def test_the_confusion_of_classes_is_counted_true_by_given():
    net = (lambda key, x: {"w": jnp.eye(3)}, lambda params, x: x @ params["w"])
    scenario = Supervised(net, optax.sgd(0.1), optax.losses.softmax_cross_entropy_with_integer_labels, False)
    batch = {"x": np.eye(3, dtype=np.float32)[[0, 1, 1]], "y": np.int32([0, 1, 2])}
    values = scenario.evaluate(KEY, scenario.init(KEY, Spec.of(batch)), batch)
    np.testing.assert_array_equal(values["confusion"].sum(0), [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(values["accuracy"], [1, 1, 0])


def linear_gan(**options):
    """A game of linear players: the logit is 2 x1, and R1 and the penalty are known."""
    generator = (lambda key, z: {"w": jnp.ones((2, 2))}, lambda params, z: z @ params["w"])
    discriminator = (lambda key, x: {"w": jnp.array([2.0, 0.0])}, lambda params, x: x @ params["w"])
    return GAN(generator, discriminator, optax.sgd(0.01), optax.sgd(0.01), wasserstein, 2, **options)


def one_step(scenario, batches=1):
    batch = {"x": jnp.asarray(RNG.normal(size=(batches, 16, 2)), jnp.float32)}
    state = scenario.init(KEY, Spec.of({"x": np.asarray(batch["x"][0])}))
    return state, *scenario.step(KEY, state, batch)


def test_penalties_are_their_weights_times_their_definitions():
    _, _, metrics = one_step(linear_gan(r1=0.3, gradient_penalty=0.7))
    np.testing.assert_allclose(metrics["r1"], 0.3 * 0.5 * 4.0, rtol=1e-5)
    np.testing.assert_allclose(metrics["gradient_penalty"], 0.7 * (2.0 - 1.0) ** 2, rtol=1e-5)


def test_options_that_are_off_leave_no_trace():
    state, after, metrics = one_step(linear_gan())
    assert set(metrics) == {"discriminator_loss", "generator_loss", "real_logit", "fake_logit"}
    assert after.average is None is state.average


def test_the_discriminator_moves_once_for_each_batch_and_the_generator_once():
    scenario = dataclasses.replace(linear_gan(critic_steps=3), discriminator_optimizer=optax.adam(1e-3))
    assert scenario.batches_per_step == 3
    assert scenario.updates_per_step() == {"discriminator_optimizer": 3}
    _, after, _ = one_step(scenario, batches=3)
    assert int(after.discriminator.opt_state[0].count) == 3
    assert int(after.step) == 1


def test_the_players_own_states_see_all_that_the_players_see_in_training():
    plain = linear_gan(critic_steps=3, r1=0.1, gradient_penalty=0.1)
    scenario = dataclasses.replace(
        plain, generator=counted(plain.generator), discriminator=counted(plain.discriminator)
    )
    _, after, _ = one_step(scenario, batches=3)
    assert int(after.discriminator.net_state["calls"]) == 3 * 2  # real and fake, in each update
    assert int(after.generator.net_state["calls"]) == 1


def test_the_average_starts_as_a_copy_and_does_not_keep_the_initial_values():
    scenario = linear_gan(ema=0.999)
    state, after, _ = one_step(scenario)
    np.testing.assert_array_equal(state.average["w"], state.generator.params["w"])
    np.testing.assert_allclose(after.average["w"], after.generator.params["w"], rtol=1e-6)


def test_samples_come_from_the_average_where_there_is_one():
    scenario = linear_gan(ema=0.9)
    _, state, _ = one_step(scenario)
    doubled = state._replace(average=jax.tree.map(lambda w: 2 * w, state.average))
    one, other = (scenario.sample(KEY, which, 5) for which in (state, doubled))
    np.testing.assert_allclose(other, 2 * one, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_gan(critic_steps=0), "critic_steps: 0 is less than 1"),
        (lambda: linear_gan(ema=1.5), "ema: 1.5"),
        (lambda: dataclasses.replace(linear_gan(), loss=optax.squared_error), "loss: GAN needs"),
        (lambda: Supervised(None, None, hinge), "loss: Supervised needs"),
        (lambda: Regression(None, None, non_saturating), "loss: Regression needs"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("scenario", "y"),
    [
        (
            Regression(hk.transform(lambda x: hk.Linear(1)(x)), optax.sgd(0.1), optax.squared_error, False),
            X[:, :1],
        ),
        (
            Supervised(
                hk.transform(lambda x: hk.Linear(2)(x)),
                optax.sgd(0.1),
                optax.softmax_cross_entropy_with_integer_labels,
                False,
            ),
            (X[:, 0] > 0).astype(np.int32),
        ),
    ],
)
def test_rows_count_in_the_loss_by_their_weights(scenario, y):
    batch = {"x": X, "y": y, "weights": np.float32(np.arange(40) % 2)}
    state = scenario.init(KEY, Spec.of(batch))
    weighted, metrics = scenario.step(KEY, state, batch)
    chosen, expected = scenario.step(KEY, state, {"x": X[1::2], "y": y[1::2]})
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5), weighted, chosen)
    assert metrics["loss"] == pytest.approx(expected["loss"])
