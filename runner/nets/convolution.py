"""Convolution and pooling, in the form that is fast on the current backend.

On CPUs, XLA's own convolution is several times slower inside a compiled loop (jax-ml/jax#12868). There, convolution is
computed as shifted slices times one matrix, and pooling as a selection within each window; the results agree up to
rounding.
"""

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np


class Convolution(hk.Module):
    """A 2-D convolution with the parameters and initial values of `hk.Conv2D`.

    Args:
        channels: channels of the output.
        kernel_size: height and width of the kernel.
        stride: stride along both axes.
        padding: "SAME" or "VALID".
        with_bias: whether a bias is added.
        w_init: initializer of the kernel, or None for that of `hk.Conv2D`.
        name: name of the module.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: str = "SAME",
        with_bias: bool = True,
        w_init: Callable | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.channels, self.kernel_size, self.stride, self.padding = channels, kernel_size, stride, padding
        self.with_bias, self.w_init = with_bias, w_init

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', channels]`."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.channels)
        w_init = self.w_init or hk.initializers.TruncatedNormal(1 / np.sqrt(np.prod(shape[:-1])))
        x = convolve(x, hk.get_parameter("w", shape, x.dtype, w_init), self.stride, self.padding)
        if self.with_bias:
            x += jnp.broadcast_to(hk.get_parameter("b", shape[-1:], x.dtype, jnp.zeros), x.shape)
        return x


def convolve(x: jax.Array, w: jax.Array, stride: int = 1, padding: str = "SAME") -> jax.Array:
    """Convolves x `[B, H, W, C]` with w `[h, w, C, D]` to `[B, H', W', D]`."""
    if jax.default_backend() != "cpu":
        return jax.lax.conv_general_dilated(
            x, w, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    kernel, strides = w.shape[:2], (stride, stride)
    pads = jax.lax.padtype_to_pads(x.shape[1:3], kernel, strides, padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    high, wide = (len(range(0, x.shape[axis + 1] - kernel[axis] + 1, stride)) for axis in (0, 1))
    patches = [
        x[:, top : top + high * stride : stride, left : left + wide * stride : stride]
        for top in range(kernel[0])
        for left in range(kernel[1])
    ]
    return jnp.concatenate(patches, axis=-1) @ w.reshape(-1, w.shape[-1])


def max_pool(x: jax.Array, size: int = 2) -> jax.Array:
    """Computes the maxima of windows that do not overlap: `[B, H, W, C]` to `[B, H // size, W // size, C]`.

    Rows and columns that do not fill a window are cut off. Among equal values, the first receives the gradient.
    """
    if jax.default_backend() != "cpu":
        window = (1, size, size, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    batch, height, width, channels = x.shape
    high, wide = height // size, width // size
    x = x[:, : high * size, : wide * size].reshape(batch, high, size, wide, size, channels)
    x = x.transpose(0, 1, 3, 5, 2, 4).reshape(batch, high, wide, channels, size**2)
    # Not x.max(-1): its gradient checks which value equals the maximum. If XLA recomputes x with other rounding, none
    # does.
    first = jax.nn.one_hot(x.argmax(-1), size**2, dtype=bool)
    return jnp.where(first, x, 0).sum(-1)
