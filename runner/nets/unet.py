"""A U-Net for images that takes the variance of their noise."""

from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from runner.core import Net
from runner.core.bounds import at_least, check, finite
from runner.nets.convolution import Convolution
from runner.nets.layers import BatchNorm, as_images, noise_embedding
from runner.nets.settings import DEEPEST, cached, check_even, check_image_shape, check_size, check_sizes


@cached
def unet(
    output_shape: Sequence[int],
    channels: Sequence[int] = (32, 64),
    blocks: int = 2,
    embedding_size: int = 32,
    max_frequency: float = 1000.0,
) -> Net:
    """Builds a net of noisy images `[B, H, W, C]` and the variance of their noise `[B]`.

    On the way down, the output of each block is kept; on the way up, it is concatenated to the input of a block of the
    same level. The last layer starts at zero.

    Args:
        output_shape: height, width and channels of one output.
        channels: channels of each level; each level but the first halves the image, and the last is the bottom.
        blocks: number of residual blocks of each level, in each direction.
        embedding_size: number of sinusoids of the variance, an even number.
        max_frequency: highest frequency of the sinusoids; the lowest is 1.

    Raises:
        ValueError: a setting is out of its range; when called, x is not an image, or cannot be halved so often.

    Source: Ronneberger et al. 2015, as in Keras's example "Denoising Diffusion Implicit Models" (Béres 2022), with
    nearest-neighbour instead of bilinear upsampling, and scale and offset in BatchNorm.
    """
    check_image_shape("unet", output_shape, "residual_mlp")
    check_sizes(channels=channels, at_least=1)
    check_size(blocks=blocks, most=DEEPEST)
    check_even("embedding_size", embedding_size)
    check("max_frequency", max_frequency, at_least(1), finite)

    def forward(x, variance, is_training):
        x = as_images(x, "unet")
        level = noise_embedding(variance, embedding_size, max_frequency)[:, None, None]
        level = jnp.broadcast_to(level, (*x.shape[:3], embedding_size))
        x = jnp.concatenate([Convolution(channels[0], 1)(x), level], axis=-1)
        x = _down_and_up(x, channels, blocks, is_training)
        return Convolution(output_shape[-1], 1, w_init=jnp.zeros, name="output")(x)

    return hk.transform_with_state(forward)


def _down_and_up(x: jax.Array, channels: Sequence[int], blocks: int, is_training: bool) -> jax.Array:
    _check_halvings(x.shape[1:3], len(channels) - 1)
    kept = []
    for size in channels[:-1]:
        for _ in range(blocks):
            x = _Block(size)(x, is_training)
            kept.append(x)
        x = _halve(x)
    for _ in range(blocks):
        x = _Block(channels[-1])(x, is_training)
    for size in reversed(channels[:-1]):
        x = x.repeat(2, 1).repeat(2, 2)
        for _ in range(blocks):
            x = _Block(size)(jnp.concatenate([x, kept.pop()], axis=-1), is_training)
    return x


class _Block(hk.Module):
    """Two 3 x 3 convolutions, added to a shortcut."""

    def __init__(self, channels: int):
        super().__init__(name="block")
        self.channels = channels

    def __call__(self, x: jax.Array, is_training: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H, W, channels]`."""
        shortcut = x if x.shape[-1] == self.channels else Convolution(self.channels, 1, name="shortcut")(x)
        x = Convolution(self.channels, 3)(BatchNorm()(x, is_training))
        return shortcut + Convolution(self.channels, 3)(jax.nn.silu(x))


def _halve(x: jax.Array) -> jax.Array:
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _check_halvings(shape: Sequence[int], times: int) -> None:
    if any(size % 2**times for size in shape):
        height, width = shape
        raise ValueError(
            f"channels: unet halves images of {height} x {width} {times} times, and cannot: sizes must be multiples"
            f" of {2**times}; take fewer channels, or resize the images"
        )
