import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.metrics import distances, energy_distance


def direct(x, y):
    """The definition, in float64 and all at once."""
    gap = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=-1)
    n, m = len(x), len(y)
    return 2 * gap(x, y).mean() - gap(x, x).sum() / (n * (n - 1)) - gap(y, y).sum() / (m * (m - 1))


def test_energy_distance_equals_the_value_worked_out_by_hand():
    # E|x - y| = (2 + 4 + 1 + 3) / 4 = 2.5, E|x - x'| = 1, E|y - y'| = 2
    assert energy_distance(jnp.array([0.0, 1.0]), jnp.array([2.0, 4.0])) == pytest.approx(2 * 2.5 - 1 - 2)


@pytest.mark.parametrize("shape", [(), (2,), (4, 4, 3)])
@pytest.mark.parametrize("block", [distances.BLOCK, 100, 1])
def test_energy_distance_equals_its_definition_whatever_the_blocks(monkeypatch, shape, block):
    monkeypatch.setattr(distances, "BLOCK", block)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(13, *shape)), rng.normal(1, 2, size=(7, *shape))
    found = distances.energy_distance.__wrapped__(jnp.asarray(x), jnp.asarray(y))
    assert found == pytest.approx(direct(x.reshape(13, -1), y.reshape(7, -1)), rel=1e-5)


def test_energy_distance_equals_that_of_scipy_less_the_pairs_of_an_example_with_itself():
    from scipy import stats

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=12), rng.normal(1, 2, size=12)
    within = [np.abs(points[:, None] - points).mean() for points in (x, y)]  # with itself: at distance 0
    expected = stats.energy_distance(x, y) ** 2 - sum(within) / 11
    assert energy_distance(jnp.asarray(x), jnp.asarray(y)) == pytest.approx(expected, rel=1e-5)


def test_energy_distance_takes_whole_numbers_as_numbers():
    x, y = np.array([[0], [255]], np.uint8), np.array([[255], [250]], np.uint8)
    assert energy_distance(x, y) == pytest.approx(direct(x.astype(float), y.astype(float)))


def test_energy_distance_of_equal_distributions_is_zero_on_average():
    draws = jax.random.normal(jax.random.key(0), (40, 2, 200, 2))
    found = np.array([energy_distance(x, y) for x, y in draws])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert found.min() < 0 < found.max()
    assert energy_distance(draws[0, 0], draws[0, 1] + 0.5) > 5 * found.std()


def test_energy_distance_needs_little_memory_for_large_examples():
    x = jnp.zeros((2000, 32, 32, 3))  # all differences at once would be 49 GB
    memory = energy_distance.lower(x, x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 300e6
