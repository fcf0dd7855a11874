"""A plain convolutional net."""

from collections.abc import Sequence

import haiku as hk
import jax

from runner.core import Net
from runner.nets.convolution import Convolution, max_pool
from runner.nets.layers import activated, as_images, drop_out, flatten, output
from runner.nets.settings import WIDEST, cached, check_dropout, check_size, check_sizes


@cached
def cnn(
    output_shape: Sequence[int],
    channels: Sequence[int] = (32, 64),
    kernel_size: int = 3,
    hidden_sizes: Sequence[int] = (128,),
    activation: str = "relu",
    normalization: str | None = None,
    dropout: float | None = None,
) -> Net:
    """Builds convolutions, each followed by 2 x 2 max pooling, then dense layers, for images `[B, H, W, C]`.

    Args:
        output_shape: shape of one output.
        channels: output channels of each convolution.
        kernel_size: height and width of each kernel.
        hidden_sizes: units of each dense layer between the convolutions and the output.
        activation: activation of all hidden layers, named as in `jax.nn`.
        normalization: normalization before each activation: "batch", "layer" (over the channels) or None.
        dropout: fraction of units dropped after each dense layer, or None.

    Raises:
        ValueError: a setting is out of its range, or a name is unknown; when called, x is not an image, or too small
            for so many poolings.
    """
    check_sizes(output_shape=output_shape, channels=channels, hidden_sizes=hidden_sizes)
    check_size(kernel_size=kernel_size, most=WIDEST)
    check_dropout(dropout)
    activate, with_bias = activated(activation, normalization)

    def forward(x, is_training):
        x = _poolable(as_images(x, "cnn"), len(channels))
        for size in channels:
            x = max_pool(activate(Convolution(size, kernel_size, with_bias=with_bias)(x), is_training))
        x = flatten(x)
        for size in hidden_sizes:
            x = drop_out(activate(hk.Linear(size, with_bias)(x), is_training), dropout, is_training)
        return output(x, output_shape)

    return hk.transform_with_state(forward)


def _poolable(x: jax.Array, poolings: int) -> jax.Array:
    height, width = x.shape[1:3]
    most = min(height, width).bit_length() - 1
    if poolings > most:
        raise ValueError(
            f"channels: an image of {height} x {width} can be halved {most} times, not {poolings}: give fewer"
        )
    return x
