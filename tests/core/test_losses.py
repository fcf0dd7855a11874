"""The losses of examples, by any function, and errors that name it."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.cli import main
from runner.core.losses import losses_of
from runner.errors import ConfigError

LOGITS, LABELS = jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32)


def test_a_loss_is_averaged_over_all_axes_of_an_example():
    values = np.arange(24.0).reshape(2, 3, 4)
    losses = losses_of(optax.losses.squared_error, jnp.array(values), jnp.zeros((2, 3, 4)))
    np.testing.assert_allclose(losses, (values**2).mean((1, 2)))


@pytest.mark.parametrize("loss", [optax.losses.softmax_cross_entropy, optax.losses.squared_error])
def test_a_loss_that_does_not_take_labels_is_named(loss):
    message = rf"^loss: {loss.__name__} of float32\[4, 3\] and int32\[4\] does not work here, take another \("
    with pytest.raises(ConfigError, match=message):
        losses_of(loss, LOGITS, LABELS)


@pytest.mark.parametrize(
    ("loss", "shape"), [(lambda *_: LOGITS.mean(), r"\[\]"), (lambda *_: jnp.zeros(3), r"\[3\]")]
)
def test_a_loss_that_does_not_keep_the_examples_apart_is_named(loss, shape):
    with pytest.raises(ConfigError, match=rf"^loss: <lambda> of .* is {shape}, not values of each example"):
        losses_of(loss, LOGITS, LABELS)


def test_an_error_in_a_loss_of_ones_own_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError):
        losses_of(lambda *_: 1 / 0, LOGITS, LABELS)


def test_a_command_names_the_loss_and_not_the_data(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["dataset=iris", "loss=optax.losses.softmax_cross_entropy", "hydra.run.dir=run"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(
        "error: loss: softmax_cross_entropy of float32[64, 3] and int32[64] "
    )
