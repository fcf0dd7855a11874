"""The nets that take the noise variance of their input."""

import functools

import jax
import jax.numpy as jnp
import pytest

from runner.core import lift
from runner.nets import residual_mlp, unet

SMALL = {
    "residual_mlp": (residual_mlp((8, 8, 1), size=16, blocks=1, embedding_size=4), (8, 8, 1)),
    "residual_mlp of points": (residual_mlp((2,), size=16, blocks=2, embedding_size=4), (2,)),
    "unet": (unet((4, 4, 1), (4, 8), blocks=2, embedding_size=4), (4, 4, 1)),
    "unet in colours": (unet((8, 12, 3), (4, 4, 8), blocks=1, embedding_size=4), (8, 12, 3)),
}
nets = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def build(init, normal):
    """Gives a net, its first values, with a last layer that is not zero, and inputs."""

    def build(name):
        net, shape = lift(SMALL[name][0]), SMALL[name][1]
        x, variance = normal(4, *shape), jnp.linspace(0.0, 1.0, 4)
        params, state = net.init(jax.random.key(0), x, variance, is_training=True)
        output = {**params["output"], "w": jax.random.normal(jax.random.key(1), params["output"]["w"].shape)}
        return net, {**params, "output": output}, state, x, variance

    return build


@nets
def test_the_output_has_the_shape_of_the_noise_and_begins_at_zero(name):
    net, shape = lift(SMALL[name][0]), SMALL[name][1]
    x, variance = jnp.ones((4, *shape)), jnp.linspace(0.0, 1.0, 4)
    params, state = net.init(jax.random.key(0), x, variance, is_training=True)
    outputs, _ = net.apply(params, state, None, x, variance, is_training=False)
    assert outputs.shape == x.shape
    assert not outputs.any()


@nets
def test_the_variance_matters(name, build):
    net, params, state, x, variance = build(name)
    apply = functools.partial(net.apply, params, state, None, is_training=False)
    assert not jnp.allclose(apply(x, variance)[0], apply(x, variance[::-1])[0])


@pytest.mark.slow
@nets
def test_gradients_reach_every_parameter_and_no_native_convolution_remains(name, build):
    net, params, state, x, variance = build(name)
    loss = lambda params: jnp.square(net.apply(params, state, None, x, variance, is_training=True)[0]).mean()
    grads = jax.grad(loss)(params)
    assert all(bool(jnp.isfinite(leaf).all() and leaf.any()) for leaf in jax.tree.leaves(grads))
    assert "conv_general_dilated" not in str(jax.make_jaxpr(jax.grad(loss))(params))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: residual_mlp((2,), size=0), "size: 0 is less than 1"),
        (lambda: residual_mlp((2,), embedding_size=5), "embedding_size: 5 is not even"),
        (lambda: unet((8, 8, 1), channels=()), "channels: "),
        (lambda: unet((8, 8, 1), blocks=0), "blocks: 0 is less than 1"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_images_that_cannot_be_halved_are_refused_from_shapes_alone():
    net = unet((8, 10, 1), channels=(4, 8, 8))
    initialise = lambda key: net.init(key, jnp.zeros((1, 8, 10, 1)), jnp.zeros(1), is_training=True)
    with pytest.raises(ValueError, match=r"^channels: unet halves images of 8 x 10 2 times, and cannot"):
        jax.eval_shape(initialise, jax.random.key(0))
    with pytest.raises(ValueError, match="unet needs images"):
        net.init(jax.random.key(0), jnp.zeros((1, 8)), jnp.zeros(1), is_training=True)
