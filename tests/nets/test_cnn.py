import jax
import jax.numpy as jnp
import pytest

from runner.nets import cnn, image_discriminator, resnet


def init(net, *input_shape):
    return jax.eval_shape(
        lambda key, x: net.init(key, x, is_training=True), jax.random.key(0), jnp.zeros(input_shape)
    )


@pytest.mark.parametrize("make", [cnn, resnet, image_discriminator])
@pytest.mark.parametrize(("shape", "written"), [((64,), r"\[64\]"), ((8, 8), r"\[8, 8\]"), ((), r"\[\]")])
def test_inputs_that_are_no_images_are_refused(make, shape, written):
    with pytest.raises(
        ValueError, match=rf"^{make.__name__} needs images \[height, .*\], not inputs {written}: take mlp"
    ):
        init(make((10,)), 2, *shape)


def test_an_image_too_small_for_its_poolings_is_refused():
    net = cnn((10,), channels=(4, 4, 4, 4))
    with pytest.raises(
        ValueError, match=r"^channels: an image of 8 x 15 can be halved 3 times, not 4: give fewer"
    ):
        init(net, 2, 8, 15, 1)
    init(net, 2, 16, 31, 1)


def test_each_pooling_halves_the_image():
    params, _ = init(cnn((10,), channels=(4, 8), hidden_sizes=()), 2, 11, 28, 1)
    assert params["output"]["w"].shape == (2 * 7 * 8, 10)
