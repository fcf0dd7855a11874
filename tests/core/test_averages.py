"""Moving averages of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import TrainState, averages

PARAMS = {"w": jnp.float32(2.0)}
NET = TrainState(PARAMS, {}, ())
VALUES = np.random.default_rng(0).normal(3.0, 1.0, size=500).astype(np.float32)
follow = jax.jit(averages.moving_average)


def following(values, decay, average=0.0, first=0):
    """Returns the average of values after some earlier steps, as the steps of a run compute it."""
    for step, value in enumerate(values, first):
        average = follow(jnp.float32(average), value, decay, step)
    return float(average)


def of_adam(values, decay, total=0.0, count=0):
    """Returns the average of values as the first moment of Adam, in float64: a decaying sum, divided at the end."""
    decay = np.float64(np.float32(decay))
    for value in values:
        total = decay * total + (1 - decay) * np.float64(value)
    return total / (1 - decay ** (count + len(values)))


def test_an_average_is_a_copy_at_first():
    average = averages.start(PARAMS, 0.5)
    assert average == PARAMS
    assert average["w"].unsafe_buffer_pointer() != PARAMS["w"].unsafe_buffer_pointer()


def test_an_average_replaces_the_parameters():
    net = averages.averaged(NET, {"w": jnp.float32(3.0)}, jnp.int32(1))
    assert net == NET._replace(params={"w": 3.0})
    assert averages.weights(0.5) == "average"


def test_an_average_of_no_step_yet_does_not_replace_the_parameters():
    assert averages.averaged(NET, {"w": jnp.float32(3.0)}, jnp.int32(0)) == NET


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999, 0.9999, 0.99999])
@pytest.mark.parametrize("steps", [1, 2, 10, 500])
def test_an_average_is_debiased_as_that_of_adam_and_forgets_where_it_started(decay, steps):
    for start in (0.0, -50.0):
        average = following(VALUES[:steps], decay, start)
        np.testing.assert_allclose(average, of_adam(VALUES[:steps], decay), rtol=2e-5)


def test_decays_differ_from_the_first_steps_on():
    assert following(VALUES[:300], 0.98) != pytest.approx(following(VALUES[:300], 0.9999), rel=1e-3)


def test_an_average_after_very_many_steps_follows_by_its_decay():
    np.testing.assert_allclose(following([1.0], 0.999, 0.0, 10**6), 0.001, rtol=1e-3)


def test_an_earlier_average_continues_as_one_times_its_debiasing_factor():
    earlier, decay, count = 2.5, 0.999, 40
    total = earlier * (1 - np.float64(np.float32(decay)) ** count)
    continued = following(VALUES[:300], decay, earlier, count)
    np.testing.assert_allclose(continued, of_adam(VALUES[:300], decay, total, count), rtol=1e-5)


def test_an_average_stays_a_weighted_mean_if_the_decay_changes():
    half = following(np.full(100, 3.0, np.float32), 0.9)
    assert following(np.full(100, 3.0, np.float32), 0.9999, half, 100) == pytest.approx(3.0, rel=1e-5)


def test_without_a_decay_there_is_no_average():
    assert averages.start(PARAMS, None) is None
    assert averages.moving_average(None, PARAMS, None, jnp.int32(0)) is None
    assert averages.averaged(NET, None, jnp.int32(0)) is NET
    assert averages.weights(None) == "raw"
