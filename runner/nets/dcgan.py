"""The generator and the discriminator of a convolutional GAN, after Radford et al. 2016 (DCGAN)."""

from collections.abc import Sequence

import haiku as hk
import jax

from runner.core import Net
from runner.nets.convolution import Convolution
from runner.nets.layers import NORMALIZATIONS, activated, as_images, flatten, output
from runner.nets.settings import (
    OUTPUT_ACTIVATIONS,
    WIDEST,
    cached,
    check_image_shape,
    check_size,
    check_sizes,
    find,
)


@cached
def image_generator(
    output_shape: Sequence[int],
    channels: Sequence[int] = (64, 32),
    kernel_size: int = 3,
    activation: str = "relu",
    normalization: str | None = "batch",
    output_activation: str | None = "sigmoid",
) -> Net:
    """Builds a generator of images from latent vectors: a dense layer, and one doubling per entry of `channels`.

    Args:
        output_shape: height, width and channels of one image; a doubling is cut if the size is odd.
        channels: output channels of the convolution after each doubling.
        kernel_size: height and width of each kernel.
        activation: activation of the hidden layers, named as in `jax.nn`.
        normalization: normalization before each activation: "batch", "layer" (over the channels) or None.
        output_activation: activation of the output, named as in `jax.nn` ("sigmoid" keeps images in [0, 1]), or None.

    Raises:
        ValueError: a setting is out of its range, a name is unknown, or `output_shape` is not that of an image.

    Source: Radford et al. 2016, with repetition and convolution instead of transposed convolution, which leaves
    checkerboard patterns (Odena et al. 2016).
    """
    check_image_shape("image_generator", output_shape, "mlp")
    check_sizes(channels=channels, at_least=1)
    check_size(kernel_size=kernel_size, most=WIDEST)
    activate, with_bias = activated(activation, normalization)
    activate_output = find("output_activation", output_activation, OUTPUT_ACTIVATIONS)

    def forward(x, is_training):
        (high, wide), *grids = _grids(output_shape, len(channels))
        x = hk.Linear(high * wide * channels[0])(flatten(x)).reshape(len(x), high, wide, channels[0])
        x = activate(x, is_training)
        for size, (high, wide) in zip(channels, grids, strict=True):
            x = x.repeat(2, 1).repeat(2, 2)[:, :high, :wide]
            x = activate(Convolution(size, kernel_size, with_bias=with_bias)(x), is_training)
        return activate_output(Convolution(output_shape[-1], kernel_size, name="output")(x))

    return hk.transform_with_state(forward)


def _grids(image_shape: Sequence[int], doublings: int) -> list[tuple[int, int]]:
    """Returns the sizes from the coarsest grid to the image; each is half of the next, rounded up."""
    height, width, _ = image_shape
    return [(-(-height // 2**n), -(-width // 2**n)) for n in range(doublings, -1, -1)]


@cached
def image_discriminator(
    output_shape: Sequence[int],
    channels: Sequence[int] = (32, 64),
    kernel_size: int = 4,
    normalization: str | None = None,
) -> Net:
    """Builds a discriminator of images `[B, H, W, C]`: convolutions that each halve the size, then one linear layer.

    Args:
        output_shape: shape of one output; () is one logit.
        channels: output channels of each convolution.
        kernel_size: height and width of each kernel.
        normalization: normalization before each activation: "batch", "layer" (over the channels) or None.

    Raises:
        ValueError: a setting is out of its range, or a name is unknown; when called, x is not an image.
    """
    check_sizes(output_shape=output_shape, channels=channels)
    check_size(kernel_size=kernel_size, most=WIDEST)
    normalize = find("normalization", normalization, NORMALIZATIONS)
    with_bias = normalization != "batch"  # batch normalisation cancels a bias

    def forward(x, is_training):
        x = as_images(x, "image_discriminator")
        for size in channels:
            x = normalize(Convolution(size, kernel_size, stride=2, with_bias=with_bias)(x), is_training)
            x = jax.nn.leaky_relu(x, 0.2)
        return output(x, output_shape)

    return hk.transform_with_state(forward)
