import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.losses.penalties import gradient_penalty, squared_gradient_norm

KEY = jax.random.key(0)
REAL, FAKE = jnp.array([[1.0, 2.0], [3.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, -1.0]])


def quadratic(x):
    """The gradient at x is x itself."""
    return 0.5 * jnp.square(x).sum(1)


def test_the_squared_gradient_norm_is_taken_at_each_example():
    np.testing.assert_allclose(squared_gradient_norm(quadratic, REAL), [5.0, 9.0], rtol=1e-6)


def test_the_gradient_penalty_is_taken_at_points_between_real_and_fake_examples():
    share = np.asarray(jax.random.uniform(KEY, (2, 1)))
    between = share * REAL + (1 - share) * FAKE
    expected = (np.linalg.norm(between, axis=1) - 1) ** 2
    np.testing.assert_allclose(gradient_penalty(quadratic, KEY, REAL, FAKE), expected, rtol=1e-5)
    assert share[0] != share[1]


def test_images_count_as_one_example_each():
    images = jnp.ones((2, 3, 3, 1))
    logits = lambda x: 2.0 * x.sum((1, 2, 3))
    np.testing.assert_allclose(squared_gradient_norm(logits, images), [36.0, 36.0], rtol=1e-6)
    np.testing.assert_allclose(gradient_penalty(logits, KEY, images, 0 * images), [25.0, 25.0], rtol=1e-5)


@pytest.mark.parametrize("logits", [lambda x: 0.0 * x.sum(1), lambda x: jnp.zeros(len(x))])
def test_a_constant_discriminator_has_a_penalty_with_a_finite_gradient(logits):
    penalty = lambda scale: gradient_penalty(lambda x: scale * logits(x), KEY, REAL, FAKE).sum()
    value, slope = jax.value_and_grad(penalty)(1.0)
    np.testing.assert_allclose(value, 2.0, rtol=1e-4)
    assert jnp.isfinite(slope)
