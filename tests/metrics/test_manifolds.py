import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.metrics import distances, kernel_distance, manifolds, precision_recall, sliced_wasserstein


def draws(*shape):
    return jax.random.normal(jax.random.key(0), shape)


def test_of_two_sets_of_one_distribution_most_is_near_the_other():
    precision, recall = precision_recall(*draws(2, 400, 2))
    assert 0.8 < precision < 1
    assert 0.8 < recall < 1


def test_collapse_keeps_precision_and_noise_keeps_recall():
    real = draws(400, 2)
    precision, recall = precision_recall(0.01 * draws(300, 2), real)
    assert precision == 1
    assert recall < 0.1
    precision, recall = precision_recall(jnp.concatenate([30 * draws(300, 2), real + 1e-3]), real)
    assert precision < 0.7
    assert recall > 0.95


@pytest.mark.parametrize("block", [distances.BLOCK, 50])
def test_precision_and_recall_equal_their_definitions_whatever_the_blocks(monkeypatch, block):
    monkeypatch.setattr(manifolds, "BLOCK", block)
    x, y = np.asarray(draws(2, 40, 3))
    gaps = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=-1)
    near = lambda a, b: (gaps(a, b) <= np.sort(gaps(b, b), axis=1)[:, 3]).any(1).mean()
    found = manifolds.precision_recall.__wrapped__(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found, [near(x, y), near(y, x)], rtol=1e-6)


def test_examples_that_are_equal_are_neighbours_of_no_reach():
    x = jnp.zeros((5, 2))
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x, x + 1e-6) == (0, 0)


@pytest.mark.parametrize("sizes", [(3, 9), (9, 3)])
def test_a_set_without_so_many_neighbours_is_refused(sizes):
    x, y = (draws(size, 2) for size in sizes)
    with pytest.raises(ValueError, match=r"^neighbours: 3 need more than 3 examples in each set"):
        precision_recall(x, y)
    assert len(precision_recall(x, y, neighbours=2)) == 2


def test_the_kernel_distance_equals_its_definition():
    x, y = np.float64(draws(2, 30, 4))
    x, y = x[:12], 1 + y
    kernel = lambda a, b: (a @ b.T / 4 + 1) ** 3
    within = lambda a: (kernel(a, a).sum() - np.trace(kernel(a, a))) / (len(a) * (len(a) - 1))
    expected = within(x) + within(y) - 2 * kernel(x, y).mean()
    np.testing.assert_allclose(kernel_distance(jnp.asarray(x), jnp.asarray(y)), expected, rtol=1e-4)


def test_the_kernel_distance_of_equal_distributions_is_zero_on_average():
    found = np.array([kernel_distance(x, y) for x, y in draws(40, 2, 100, 3)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert kernel_distance(draws(200, 3), draws(200, 3) + 1) > 10 * found.std()


def test_along_one_dimension_the_wasserstein_distance_is_that_of_sorted_values():
    x, y = draws(2, 50, 1)
    expected = np.abs(np.sort(x, 0) - np.sort(y, 0)).mean()
    np.testing.assert_allclose(sliced_wasserstein(x, y), expected, rtol=1e-5)


def test_a_shift_moves_the_projections_by_its_share_of_each_line():
    x = draws(300, 2)
    assert sliced_wasserstein(x, x) == 0
    np.testing.assert_allclose(sliced_wasserstein(x, x + jnp.array([[3.0, 0.0]])), 3 * 2 / np.pi, rtol=0.15)


def test_sets_of_different_sizes_are_compared_by_their_quantiles():
    x = draws(400, 2)
    assert sliced_wasserstein(x[:200], x) < 0.2 < 0.5 < sliced_wasserstein(x[:200], x + 1)


def test_distances_and_manifolds_need_little_memory():
    x = jnp.zeros((5000, 64))
    for measure in (kernel_distance, precision_recall):
        assert measure.lower(x, x).compile().memory_analysis().temp_size_in_bytes < 300e6
