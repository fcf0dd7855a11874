import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.nets.layers import NORMALIZATIONS, BatchNorm


@pytest.fixture
def net():
    return hk.transform_with_state(lambda x, is_training: BatchNorm()(x, is_training))


def test_batch_norm_in_training_equals_haikus(net, normal):
    theirs = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9, eps=1e-5)(x, is_training=True))
    x = 3 + 2 * normal(16, 5, 4, 3)
    outputs, _ = net.apply(*net.init(None, x, True), None, x, True)
    np.testing.assert_allclose(outputs, theirs.apply(*theirs.init(None, x), None, x)[0], atol=1e-5)


def test_batch_norm_evaluates_with_the_moving_statistics(net):
    x = jnp.array([[1.0, 0.0], [3.0, 8.0]])
    params, state = net.init(None, x, True)
    np.testing.assert_allclose(net.apply(params, state, None, x, False)[0], x, rtol=1e-4)
    _, state = net.apply(params, state, None, x, True)
    np.testing.assert_allclose(state["batch_norm"]["mean"], [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(state["batch_norm"]["variance"], [1.0, 2.5], rtol=1e-6)  # 0.9 + 0.1 * [1, 16]
    outputs, same = net.apply(params, state, None, x, False)
    np.testing.assert_allclose(
        outputs, (x - jnp.array([[0.2, 0.4]])) / jnp.sqrt(jnp.array([[1.0, 2.5]])), rtol=1e-4
    )
    assert jax.tree.all(jax.tree.map(jnp.array_equal, state, same))


def test_batch_norm_stands_values_far_from_zero(net, normal):
    x = 1e4 + normal(64, 3)
    outputs, _ = net.apply(*net.init(None, x, True), None, x, True)
    np.testing.assert_allclose(outputs.std(0), 1.0, atol=0.01)


def test_layer_norm_normalizes_each_position_of_an_image_by_itself():
    net = hk.without_apply_rng(hk.transform(lambda x: NORMALIZATIONS["layer"](x, True)))
    x = jnp.array([[1.0, 3.0], [10.0, 30.0]])
    outputs = net.apply(net.init(None, x), x)
    np.testing.assert_allclose(outputs, [[-1, 1], [-1, 1]], atol=1e-4)
