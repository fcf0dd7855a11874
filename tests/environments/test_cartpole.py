import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.environments import CartPole
from runner.environments.cartpole import CartPoleState

KEY = jax.random.key(0)


def moved(position, velocity, angle, turn, action):
    """Makes one step by the equations of Gymnasium's CartPole-v1, in double precision."""
    sine, cosine = np.sin(angle), np.cos(angle)
    pull = ((10 if action == 1 else -10) + 0.05 * turn**2 * sine) / 1.1
    turning = (9.8 * sine - cosine * pull) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    push = pull - 0.05 * turning * cosine / 1.1
    return position + 0.02 * velocity, velocity + 0.02 * push, angle + 0.02 * turn, turn + 0.02 * turning


def test_the_cart_moves_by_the_equations_of_its_source():
    world, expected = CartPole(), (0.1, -0.2, 0.05, 0.3)
    state = CartPoleState(*map(jnp.float32, expected), jnp.int32(0))
    for action in (1, 1, 0, 1, 0, 0):
        expected = moved(*expected, action)
        state, reward, terminated, truncated = world.step(KEY, state, jnp.int32(action))
        np.testing.assert_allclose(world.observe(state), expected, rtol=1e-4, atol=1e-6)
        assert (float(reward), bool(terminated), bool(truncated)) == (1.0, False, False)


@pytest.mark.parametrize(
    ("place", "terminated", "truncated"),
    [
        ((2.39, 1.0, 0.0, 0.0, 0), True, False),
        ((-2.39, -1.0, 0.0, 0.0, 0), True, False),
        ((0.0, 0.0, 0.2094, 0.1, 0), True, False),
        ((0.0, 0.0, -0.2094, -0.1, 0), True, False),
        ((0.0, 0.0, 0.0, 0.0, 498), False, False),
        ((0.0, 0.0, 0.0, 0.0, 499), False, True),
    ],
)
def test_an_episode_ends_where_the_pole_falls_the_cart_leaves_or_time_is_up(place, terminated, truncated):
    state = CartPoleState(*map(jnp.float32, place[:4]), jnp.int32(place[4]))
    _, _, *ends = CartPole().step(KEY, state, jnp.int32(0))
    assert list(map(bool, ends)) == [terminated, truncated]


def test_episodes_begin_close_to_the_origin_and_each_elsewhere():
    world = CartPole()
    seen = jax.vmap(lambda key: world.observe(world.reset(key)))(jax.random.split(KEY, 100))
    assert seen.shape == (100, *world.observation_shape)
    assert jnp.abs(seen).max() <= 0.05
    assert len(np.unique(seen)) > 390


def test_an_episode_without_steps_is_refused():
    with pytest.raises(ValueError, match="max_steps: 0 is less than 1"):
        CartPole(max_steps=0)
