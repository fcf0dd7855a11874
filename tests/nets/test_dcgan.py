import functools

import jax
import jax.numpy as jnp
import pytest

from runner.nets import image_discriminator, image_generator


def shape(net, x):
    def run(key):
        return net.apply(*net.init(key, x, is_training=True), key, x, is_training=True)[0]

    return jax.eval_shape(run, jax.random.key(0)).shape


@pytest.mark.parametrize("channels", [(64, 32), (16, 8, 4), (8,)])
@pytest.mark.parametrize("image", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (5, 9, 2), (1, 1, 1)])
def test_both_players_take_images_of_any_size(image, channels):
    assert shape(image_generator(image, channels), jnp.zeros((4, 16))) == (4, *image)
    assert shape(image_discriminator((), channels), jnp.zeros((4, *image))) == (4,)


@pytest.mark.parametrize("output_shape", [(), (2,), (8, 8)])
def test_a_generator_of_something_else_is_refused(output_shape):
    message = r"^image_generator makes images \[height, width, channels\], not .*: take mlp"
    with pytest.raises(ValueError, match=message):
        image_generator(output_shape)


def test_generated_images_keep_to_the_range_of_their_output_activation(init, normal):
    latents = 100 * normal(64, 4)

    def outputs(activation):
        net = image_generator((5, 5, 1), (8,), output_activation=activation)
        return jax.jit(functools.partial(net.apply, is_training=False))(*init(net, latents), None, latents)[0]

    images = outputs("sigmoid")
    assert images.min() >= 0
    assert images.max() <= 1
    assert jnp.abs(outputs(None)).max() > 1
    assert outputs("tanh").min() < 0
