import jax
import jax.numpy as jnp
import numpy as np

from runner.metrics import energy_distance, high_quality, modes_covered
from runner.types import Modes

MODES = Modes(np.float32([[0, 0], [10, 0]]), 1.0)


def test_energy_distance_by_hand():
    x, y = jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [5.0]])
    between, within_x, within_y = (1 + 5 + 1 + 3) / 4, 2.0, 4.0
    np.testing.assert_allclose(energy_distance(x, y), 2 * between - within_x - within_y, rtol=1e-6)


def test_energy_distance_of_equal_distributions_is_about_zero_and_of_others_is_not():
    one, other, far = jax.random.normal(jax.random.key(0), (3, 500, 4, 2))
    assert abs(energy_distance(one, other)) < 0.03
    assert energy_distance(one, far + 1) > 0.3


def test_energy_distance_does_not_depend_on_the_block_it_is_worked_out_in():
    x, y = jax.random.normal(jax.random.key(1), (2, 301, 3))
    gap = lambda a, b: np.sqrt(((np.float64(a)[:, None] - np.float64(b)[None]) ** 2).sum(-1))
    n = len(x)
    whole = 2 * gap(x, y).mean() - (gap(x, x).sum() + gap(y, y).sum()) / (n * (n - 1))
    np.testing.assert_allclose(energy_distance(x, y), whole, atol=1e-5)


def test_quality_is_the_share_within_three_spreads():
    x = jnp.array([[0.0, 2.9], [0.0, 3.1], [10.5, 0.0], [5.0, 0.0]])
    assert high_quality(x, MODES) == 0.5


def test_a_mode_needs_a_fifth_of_its_fair_share_to_be_covered():
    points = lambda count, at: np.tile(np.float32([at, 0]), (count, 1))
    assert modes_covered(np.concatenate([points(95, 0), points(5, 10)]), MODES) == 1
    assert modes_covered(np.concatenate([points(85, 0), points(15, 10)]), MODES) == 2
    assert modes_covered(points(10, 5), MODES) == 0
