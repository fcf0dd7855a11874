import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.integrators import euler, heun, rk4

ORDERS = pytest.mark.parametrize(("integrator", "order"), [(euler, 1), (heun, 2), (rk4, 4)])


def integrate(integrator, field, y, time, steps):
    step = lambda _, y: integrator.step(field, y, field(y), time / steps)
    return jax.lax.fori_loop(0, steps, step, y)


@pytest.fixture(autouse=True)
def _doubles():
    with jax.enable_x64():
        yield


@ORDERS
def test_halving_the_step_divides_the_error_by_two_to_the_order(integrator, order):
    logistic = lambda y: y * (1 - y)  # from 1/4: y(t) = 1 / (1 + 3 exp(-t))
    exact = 1 / (1 + 3 * np.exp(-1.0))
    errors = [
        abs(integrate(integrator, logistic, jnp.array(0.25), 1.0, steps) - exact) for steps in (20, 40, 80)
    ]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / np.array(errors[1:])), order, atol=0.06)


@pytest.mark.parametrize(
    ("integrator", "growth"),
    [
        (euler, lambda h: np.hypot(1, h)),
        (heun, lambda h: np.hypot(1 - h**2 / 2, h)),
        (rk4, lambda h: np.hypot(1 - h**2 / 2 + h**4 / 24, h - h**3 / 6)),
    ],
)
def test_the_bilinear_game_grows_at_each_step_by_the_known_factor(integrator, growth):
    players = {"one": jnp.array([0.6]), "other": jnp.array([0.8])}  # of min max one * other
    field = lambda players: {"one": -players["other"], "other": players["one"]}
    h, steps = 0.3, 50
    after = integrate(integrator, field, players, h * steps, steps)
    size = np.hypot(after["one"], after["other"])
    np.testing.assert_allclose(size, growth(h) ** steps, rtol=1e-12)


def test_a_step_takes_the_slope_that_the_caller_has():
    asked = []

    def field(y):
        asked.append(y)
        return -y

    heun.step(field, jnp.array(1.0), jnp.array(-1.0), 0.1)
    assert [float(y) for y in asked] == [0.9]
