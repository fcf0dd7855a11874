"""Random changes of training images: functions `f(key, x, **settings) -> x` of batches x [B, height, width, channels].

They run inside the compiled step. Each image is changed by its own random numbers.
"""

import jax
import jax.numpy as jnp

from runner.core import Key
from runner.core.bounds import check, share


def flip(key: Key, x: jax.Array, vertical: bool = False) -> jax.Array:
    """Mirrors half of the images.

    Args:
        key: of the random numbers.
        x: images [B, height, width, channels].
        vertical: whether top and bottom are exchanged, and not left and right.
    """
    mirrored = jnp.flip(x, 1 if vertical else 2)
    return jnp.where(jax.random.bernoulli(key, shape=(len(x), 1, 1, 1)), mirrored, x)


def crop(key: Key, x: jax.Array, padding: float = 0.125) -> jax.Array:
    """Shifts each image, with its border repeated, so that a random part of a padded image is cut out.

    Args:
        key: of the random numbers.
        x: images [B, height, width, channels].
        padding: the largest shift, as a fraction of height and width.
    """
    check("padding", padding, share)
    largest = jnp.array([[round(padding * size) for size in x.shape[1:3]]])
    shifts = jax.random.randint(key, (len(x), 2), -largest, largest + 1)

    def shifted(image, shift):
        rows, columns = (
            jnp.clip(jnp.arange(size) + by, 0, size - 1)
            for size, by in zip(image.shape[:2], shift, strict=True)
        )
        return image[rows[:, None], columns]

    return jax.vmap(shifted)(x, shifts)


def color(
    key: Key, x: jax.Array, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2
) -> jax.Array:
    """Scales brightness, contrast and saturation of each image by random factors; no value leaves the batch's range.

    Args:
        key: of the random numbers.
        x: images [B, height, width, channels].
        brightness: the factor is between 1 minus this and 1 plus this.
        contrast: likewise, of the distances to the mean of the image.
        saturation: likewise, of the distances to the grey of each pixel.
    """
    for name, strength in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        check(name, strength, share)
    factors = [
        jax.random.uniform(each, (len(x), 1, 1, 1), minval=1 - strength, maxval=1 + strength)
        for each, strength in zip(jax.random.split(key, 3), (brightness, contrast, saturation), strict=True)
    ]
    low, high = x.min(), x.max()
    x = low + (x - low) * factors[0]
    for axes, factor in (((1, 2, 3), factors[1]), (3, factors[2])):
        mean = x.mean(axes, keepdims=True)
        x = mean + (x - mean) * factor
    return jnp.clip(x, low, high)


def erase(key: Key, x: jax.Array, area: float = 0.25) -> jax.Array:
    """Replaces a random rectangle of each image by the mean of the image.

    Args:
        key: of the random numbers.
        x: images [B, height, width, channels].
        area: the largest fraction of an image that is replaced.
    """
    check("area", area, share)
    place, extent = jax.random.split(key)
    inside = True
    for axis, (at, size) in enumerate(
        zip(jax.random.uniform(place, (2, len(x))), jax.random.uniform(extent, (2, len(x))), strict=True), 1
    ):
        pixels = (jnp.arange(x.shape[axis])[None] + 0.5) / x.shape[axis]
        length = size * area**0.5
        begin = at * (1 - length)
        along = (pixels >= begin[:, None]) & (pixels < (begin + length)[:, None])
        inside &= jnp.expand_dims(along, (3, 3 - axis))
    return jnp.where(inside, x.mean((1, 2), keepdims=True), x)
