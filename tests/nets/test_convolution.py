import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.nets.convolution import Convolution, convolve, max_pool

compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # quickly


def value_and_gradients(function, *args):
    """Gives the outputs, and the gradients of a sum of them that weighs each differently."""

    def total(*args):
        outputs = function(*args)
        weights = np.sin(1.0 + np.arange(outputs.size, dtype=np.float32)).reshape(outputs.shape)
        return (outputs * weights).sum(), outputs

    gradients = jax.value_and_grad(total, argnums=tuple(range(len(args))), has_aux=True)
    return compiled(gradients)(*args)


@pytest.fixture
def natively(monkeypatch):
    """Calls a function as an accelerator would have it traced."""

    def call(function, *args):
        with monkeypatch.context() as patch:
            patch.setattr(jax, "default_backend", lambda: "gpu")
            return function(*args)

    return call


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_slices_times_a_matrix_equal_the_native_convolution(kernel, stride, padding, natively, normal):
    x, w = normal(2, 8, 7, 3), normal(kernel, kernel, 3, 4)

    def convolution(x, w):
        return convolve(x, w, stride, padding)

    ours = jax.tree.leaves(value_and_gradients(convolution, x, w))
    theirs = jax.tree.leaves(natively(value_and_gradients, convolution, x, w))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_native_convolution_is_used_elsewhere(natively):
    x, w = jnp.zeros((1, 5, 5, 1)), jnp.zeros((3, 3, 1, 1))
    assert "conv_general_dilated" not in str(jax.make_jaxpr(convolve)(x, w))
    assert "conv_general_dilated" in str(natively(jax.make_jaxpr(lambda x, w: convolve(x, w)), x, w))
    assert "reduce_window" in str(natively(jax.make_jaxpr(lambda x: max_pool(x)), x))


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_module_starts_as_haikus_and_computes_the_same(with_bias, normal):
    ours = hk.transform(lambda x: Convolution(6, 3, stride=2, with_bias=with_bias, name="same")(x))
    theirs = hk.transform(lambda x: hk.Conv2D(6, 3, stride=2, with_bias=with_bias, name="same")(x))
    x = normal(2, 7, 8, 3)
    params, expected = (net.init(jax.random.key(1), x) for net in (ours, theirs))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, params, expected))
    params = jax.tree.map(lambda leaf: leaf + 0.5, params)
    np.testing.assert_allclose(ours.apply(params, None, x), theirs.apply(params, None, x), atol=1e-5)


def test_an_image_smaller_than_the_kernel_has_no_valid_position():
    assert convolve(jnp.zeros((2, 1, 5, 3)), jnp.zeros((3, 3, 3, 4)), 2, "VALID").shape == (2, 0, 2, 4)


@pytest.mark.parametrize(("height", "width", "size"), [(8, 6, 2), (7, 5, 2), (9, 7, 3)])
def test_pooling_by_reshape_equals_the_native_pooling(height, width, size, natively, normal):
    x = normal(2, height, width, 3)  # without ties
    ours = jax.tree.leaves(value_and_gradients(lambda x: max_pool(x, size), x))
    theirs = jax.tree.leaves(natively(value_and_gradients, lambda x: max_pool(x, size), x))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_first_of_equal_values_takes_the_gradient_of_a_pool(natively):
    x = jnp.array([[2.0, 7.0, 5.0, 5.0], [7.0, 7.0, 5.0, 5.0]])[None, :, :, None]
    for call in (lambda function, x: function(x), natively):
        slope = call(jax.grad(lambda x: max_pool(x).sum()), x)
        np.testing.assert_array_equal(slope[0, :, :, 0], [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_a_pool_loses_no_gradient_where_xla_computes_its_inputs_anew(normal):
    def loss(x, scale, offset):
        mean, variance = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
        return max_pool((x - mean) * (jax.lax.rsqrt(variance + 1e-5) * scale) + offset).sum()

    scale, offset = np.full((2, 1, 1, 1, 3), [[[[[1.1]]]], [[[[0.3]]]]], np.float32)
    slope = compiled(jax.grad(loss, argnums=2))(normal(4, 8, 8, 3), scale, offset)
    np.testing.assert_array_equal(slope.ravel(), 4 * 4 * 4)  # one for each window
