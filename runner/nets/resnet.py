"""A residual net for small images."""

from collections.abc import Sequence

import haiku as hk
import jax

from runner.core import Net
from runner.nets.convolution import Convolution
from runner.nets.layers import BatchNorm, as_images, output
from runner.nets.settings import DEEPEST, cached, check_size, check_sizes


@cached
def resnet(output_shape: Sequence[int], channels: Sequence[int] = (16, 32, 64), blocks: int = 1) -> Net:
    """Builds a residual net with BatchNorm, for images `[B, H, W, C]`.

    Channels 16, 32, 64 with 1, 3 or 9 blocks are ResNet-8, 20 or 56.

    Args:
        output_shape: shape of one output.
        channels: channels of each group of blocks; each group but the first halves the image.
        blocks: number of blocks in each group.

    Raises:
        ValueError: a setting is out of its range; when called, x is not an image.

    Source:
        He et al. 2016, section 4.2; shortcuts that change the shape are projections (option B), not padding.
    """
    check_sizes(output_shape=output_shape)
    check_sizes(channels=channels, at_least=1)
    check_size(blocks=blocks, most=DEEPEST)

    def forward(x, is_training):
        x = as_images(x, "resnet")
        x = Convolution(channels[0], 3, with_bias=False)(x)
        x = jax.nn.relu(BatchNorm()(x, is_training))
        for group, size in enumerate(channels):
            for block in range(blocks):
                x = ResidualBlock(size, stride=2 if group > 0 and block == 0 else 1)(x, is_training)
        return output(x.mean((1, 2)), output_shape)

    return hk.transform_with_state(forward)


class ResidualBlock(hk.Module):
    """Two 3 x 3 convolutions, added to a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, channels: int, stride: int, name: str | None = None):
        super().__init__(name=name)
        self.channels, self.stride = channels, stride

    def __call__(self, x: jax.Array, is_training: bool) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H / stride, W / stride, channels]`."""
        shortcut = x
        if self.stride > 1 or x.shape[-1] != self.channels:
            shortcut = Convolution(self.channels, 1, self.stride, with_bias=False, name="shortcut")(x)
            shortcut = BatchNorm(name="shortcut_norm")(shortcut, is_training)
        x = Convolution(self.channels, 3, self.stride, with_bias=False)(x)
        x = jax.nn.relu(BatchNorm()(x, is_training))
        x = Convolution(self.channels, 3, with_bias=False)(x)
        return jax.nn.relu(BatchNorm()(x, is_training) + shortcut)
