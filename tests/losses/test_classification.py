import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.losses import focal

LOGITS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
LABELS = np.arange(20) % 3


def test_the_focal_loss_weights_the_cross_entropy_by_what_is_missing_to_certainty():
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(focal(LOGITS, LABELS, gamma=0.0), cross_entropy, rtol=1e-5)
    p = jnp.exp(-cross_entropy)
    np.testing.assert_allclose(focal(LOGITS, LABELS), (1 - p) ** 2 * cross_entropy, rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_of_a_certain_prediction_has_a_finite_gradient(gamma):
    logits = jnp.array([[90.0, 0.0], [0.0, 90.0]])
    gradient = jax.grad(lambda logits: focal(logits, jnp.array([0, 0]), gamma).sum())(logits)
    assert jnp.isfinite(gradient).all()
    assert gradient[1, 0] < -0.9  # a certain and wrong one


def test_a_negative_gamma_is_refused():
    with pytest.raises(ValueError, match=r"^gamma: -1.0 is not a finite number from 0 up"):
        focal(LOGITS, LABELS, -1.0)
