"""The two players of a convolutional adversarial game, after Radford et al. 2016 (DCGAN)."""

from collections.abc import Sequence

import haiku as hk
import jax

from runner.core import Net
from runner.nets.convolution import Convolution
from runner.nets.layers import NORMALIZATIONS, as_images, flatten, output
from runner.nets.settings import (
    ACTIVATIONS,
    OUTPUT_ACTIVATIONS,
    WIDEST,
    cached,
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
    """Makes images from latent vectors: a dense layer, then for each entry of `channels` the size is doubled.

    Args:
        output_shape: height, width, channels of one image; where a size is odd, its doubling is cut.
        channels: of the convolution after each doubling.
        kernel_size: of the convolutions.
        activation: of the hidden layers, named as in `jax.nn`.
        normalization: before each activation: "batch", "layer" (over the channels) or None.
        output_activation: named as in `jax.nn` ("sigmoid" keeps images in [0, 1]), or None.

    Raises:
        ValueError: a setting is out of its range, a name unknown, or `output_shape` no image's.

    Source:
        Radford et al. 2016, with repetition and convolution instead of transposed convolution, which leaves
        checkerboards (Odena et al. 2016).
    """
    check_sizes("output_shape", output_shape)
    if len(output_shape) != 3:
        shape = list(output_shape)
        raise ValueError(
            f"image_generator makes images [height, width, channels], not {shape}: take mlp for these"
        )
    check_sizes("channels", channels, at_least=1)
    check_size("kernel_size", kernel_size, WIDEST)
    activate = find("activation", activation, ACTIVATIONS)
    normalize = find("normalization", normalization, NORMALIZATIONS)
    with_bias = normalization != "batch"  # which would take it out again
    activate_output = find("output_activation", output_activation, OUTPUT_ACTIVATIONS)
    height, width, depth = output_shape
    # from the coarsest grid to the image: each is half of the next, rounded up
    grids = [(-(-height // 2**n), -(-width // 2**n)) for n in range(len(channels), -1, -1)]

    def forward(x, is_training):
        high, wide = grids[0]
        x = hk.Linear(high * wide * channels[0])(flatten(x)).reshape(len(x), high, wide, channels[0])
        x = activate(normalize(x, is_training))
        for size, (high, wide) in zip(channels, grids[1:], strict=True):
            x = x.repeat(2, 1).repeat(2, 2)[:, :high, :wide]
            x = activate(normalize(Convolution(size, kernel_size, with_bias=with_bias)(x), is_training))
        return activate_output(Convolution(depth, kernel_size, name="output")(x))

    return hk.transform_with_state(forward)


@cached
def image_discriminator(
    output_shape: Sequence[int],
    channels: Sequence[int] = (32, 64),
    kernel_size: int = 4,
    normalization: str | None = None,
) -> Net:
    """Makes logits from images `[B, H, W, C]`: each convolution halves the size, then one linear layer.

    Args:
        output_shape: of one output; () is one logit.
        channels: of each convolution.
        kernel_size: of the convolutions.
        normalization: before each activation: "batch", "layer" (over the channels) or None.

    Raises:
        ValueError: a setting is out of its range, or a name unknown; when called, x is no image.
    """
    check_sizes("output_shape", output_shape)
    check_sizes("channels", channels)
    check_size("kernel_size", kernel_size, WIDEST)
    normalize = find("normalization", normalization, NORMALIZATIONS)
    with_bias = normalization != "batch"  # which would take it out again

    def forward(x, is_training):
        x = as_images(x, "image_discriminator")
        for size in channels:
            x = normalize(Convolution(size, kernel_size, stride=2, with_bias=with_bias)(x), is_training)
            x = jax.nn.leaky_relu(x, 0.2)
        return output(x, output_shape)

    return hk.transform_with_state(forward)
