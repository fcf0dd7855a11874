"""Kinds of nets that `lift` and `builder` accept and refuse, and the shapes of their outputs."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import optax
import pytest

from runner.core import Spec, create, lift
from runner.core.lifting import builder
from runner.core.nets import LOGIT
from runner.errors import ConfigError
from runner.losses import non_saturating
from runner.scenarios import GAN, Regression, Supervised

X = jnp.ones((5, 3))
KEY = jax.random.key(0)


def linear(x):
    return hk.Linear(2)(x)


def with_training(x, training):
    return hk.Linear(2)(x) + 100.0 * training


def with_deterministic(x, deterministic):
    return hk.Linear(2)(x) - 100.0 * deterministic + 100.0


def with_any(x, **settings):
    return with_training(x, settings["is_training"])


def forwarding(x, **settings):
    return linear(x, **settings)


class Dense(hk.Module):
    def __call__(self, x, train):
        return with_training(x, train)


@pytest.mark.parametrize(
    ("net", "difference"),
    [
        (hk.transform(with_training), 100.0),
        (hk.transform_with_state(with_deterministic), 100.0),
        (hk.transform(with_any), 100.0),
        (hk.transform(forwarding), 0.0),
        (Dense, 100.0),
        (functools.partial(hk.nets.MLP, output_sizes=[2]), 0.0),
    ],
)
def test_a_mode_is_passed_under_each_usual_name(net, difference):
    lifted = lift(net)
    params, state = lifted.init(KEY, X, is_training=True)
    training, evaluation = (
        lifted.apply(params, state, None, X, is_training=mode)[0] for mode in (True, False)
    )
    assert jnp.allclose(training - evaluation, difference, atol=1e-4)


def test_a_class_of_a_module_is_one_net_whatever_the_shape():
    module = functools.partial(hk.nets.MLP, output_sizes=[2])
    assert builder(module)(output_shape=(2,)) is builder(module)(output_shape=(3,))
    with pytest.raises(ValueError, match="MLP: missing a required argument: 'output_sizes'"):
        builder(hk.nets.MLP)


@pytest.mark.parametrize("net", [linear, functools.partial(linear, 3), 3, (1, 2)])
def test_what_is_no_net_is_refused(net):
    with pytest.raises(ValueError, match="is no net: a net is what"):
        lift(net)


def test_a_function_that_builds_no_net_is_refused():
    with pytest.raises(ValueError, match="linear is no function of output_shape"):
        builder(linear)


def outputs(*shape):
    """Returns a net with outputs `[B, *shape]`."""
    return (lambda key, x: {}, lambda params, x: jnp.zeros((len(x), *shape)))


NUMBERS = Spec(
    {"x": ((3,), "float32"), "y": ((1,), "float32")}, mean={"x": 0.0, "y": 0.0}, std={"x": 1.0, "y": 1.0}
)
CLASSES = Spec({"x": ((3,), "float32"), "y": ((), "int32")}, mean={"x": 0.0}, std={"x": 1.0}, classes=10)


@pytest.mark.parametrize(
    ("scenario", "spec", "message"),
    [
        (
            Regression(outputs(), optax.sgd(0.1), optax.losses.squared_error, False),
            NUMBERS,
            r"net: returns \[B\], and \[B, 1\] is needed",
        ),
        (
            Supervised(outputs(7), optax.sgd(0.1), optax.losses.squared_error, False),
            CLASSES,
            r"net: returns \[B, 7\], and \[B, 10\] is needed",
        ),
        (
            Supervised(outputs(12), optax.sgd(0.1), optax.losses.squared_error, False),
            CLASSES,
            r"net: returns \[B, 12\], and \[B, 10\] is needed",
        ),
        (
            GAN(outputs(3), outputs(2), optax.sgd(0.1), optax.sgd(0.1), non_saturating, 4),
            NUMBERS,
            r"discriminator: returns \[B, 2\], and \[B\] is needed",
        ),
    ],
)
def test_outputs_that_do_not_fit_the_targets_are_refused_with_both_shapes(scenario, spec, message):
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(lambda key: scenario.init(key, spec), KEY)


def test_a_discriminator_may_return_a_column():
    for shape in ((), (1,)):
        create(outputs(*shape), optax.sgd(0.1), KEY, X, discriminator=LOGIT)
    with pytest.raises(ValueError, match="value: returns"):
        create(outputs(1), optax.sgd(0.1), KEY, X, value=())
