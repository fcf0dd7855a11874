"""Moving averages of parameters."""

import jax.numpy as jnp
import numpy as np

from runner.core import TrainState, averages

PARAMS = {"w": jnp.float32(2.0)}
NET = TrainState(PARAMS, {}, ())


def test_an_average_is_a_copy_at_first():
    average = averages.start(PARAMS, 0.5)
    assert average == PARAMS
    assert average["w"].unsafe_buffer_pointer() != PARAMS["w"].unsafe_buffer_pointer()


def test_an_average_follows_the_parameters_and_replaces_them():
    moved = averages.moving_average(PARAMS, {"w": jnp.float32(4.0)}, 0.5, jnp.int32(100))
    np.testing.assert_allclose(averages.averaged(NET, moved).params["w"], 3.0, rtol=1e-6)
    assert averages.weights(0.5) == "average"


def test_the_first_steps_have_a_smaller_decay():
    moved = averages.moving_average(PARAMS, {"w": jnp.float32(4.0)}, 0.999, jnp.int32(2))
    np.testing.assert_allclose(moved["w"], 0.25 * 2.0 + 0.75 * 4.0, rtol=1e-6)


def test_without_a_decay_there_is_no_average():
    assert averages.start(PARAMS, None) is None
    assert averages.moving_average(None, PARAMS, None, jnp.int32(0)) is None
    assert averages.averaged(NET, None) is NET
    assert averages.weights(None) == "raw"
