"""Mixtures of equal, round Gaussians in the plane, whose covered modes can be counted."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Batch, Dataset, Feature, Key, Modes, Spec
from runner.datasets.sources import Sampler

HELD_OUT_BATCH = 500
MOST_MODES = 10_000


def ring(
    batch_size: int = 256, modes: int = 8, radius: float = 2.0, spread: float = 0.05, held_out: int = 2000
) -> Dataset:
    """Samples Gaussians whose centres are evenly spaced on a circle.

    Args:
        batch_size: points x [B, 2] per batch.
        modes: number of Gaussians.
        radius: of the circle.
        spread: standard deviation of each Gaussian.
        held_out: points in a pass over the validation or the test data; each pass draws new ones.

    Raises:
        ValueError: a setting is not above 0, or there are more than 10000 Gaussians.
    """
    _check(batch_size=batch_size, modes=modes, radius=radius, spread=spread, held_out=held_out)
    _check_modes("modes", modes, modes)
    angles = 2 * np.pi * np.arange(modes) / modes
    return _mixture(radius * np.stack([np.cos(angles), np.sin(angles)], 1), spread, batch_size, held_out)


def grid(
    batch_size: int = 256, side: int = 5, spacing: float = 2.0, spread: float = 0.05, held_out: int = 2000
) -> Dataset:
    """Samples Gaussians whose centres form a square grid around the origin.

    Args:
        batch_size: points x [B, 2] per batch.
        side: number of Gaussians on each side.
        spacing: distance between neighbouring centres.
        spread: standard deviation of each Gaussian.
        held_out: points in a pass over the validation or the test data; each pass draws new ones.

    Raises:
        ValueError: a setting is not above 0, or there are more than 10000 Gaussians.
    """
    _check(batch_size=batch_size, side=side, spacing=spacing, spread=spread, held_out=held_out)
    _check_modes("side", side, side**2)
    coordinates = spacing * (np.arange(side) - (side - 1) / 2)
    centres = np.stack(np.meshgrid(coordinates, coordinates), -1).reshape(-1, 2)
    return _mixture(centres, spread, batch_size, held_out)


def mog16(batch_size: int = 512, held_out: int = 2000) -> Dataset:
    """Samples the 4 by 4 grid of narrow Gaussians, of standard deviation 0.02, of the ODE-GAN paper (Qin et al. 2020).

    Args:
        batch_size: points x [B, 2] per batch.
        held_out: points in a pass over the validation or the test data; each pass draws new ones.

    Raises:
        ValueError: a setting is not above 0.
    """
    return grid(batch_size, side=4, spacing=1.0, spread=0.02, held_out=held_out)


def _check(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}: {value} is not a finite number above 0")


def _check_modes(name: str, value: int, modes: int) -> None:
    if modes > MOST_MODES:
        raise ValueError(f"{name}: {value} makes {modes} Gaussians, more than {MOST_MODES}")


def _mixture(centres: np.ndarray, spread: float, batch_size: int, held_out: int) -> Dataset:
    modes = Modes(np.float32(centres), np.float32(spread))
    spec = Spec(
        {"x": Feature((2,), "float32")},
        mean={"x": np.float32(centres.mean(0))},
        std={"x": np.float32(np.sqrt(centres.var(0) + spread**2))},
        modes=modes,
    )

    def sampler(part: int, batch_size: int, size: int | None = None) -> Sampler:
        return Sampler(draw, (*modes, np.int32(part)), batch_size, spec=spec, size=size)

    batch = min(HELD_OUT_BATCH, held_out)
    return Dataset(sampler(0, batch_size), sampler(1, batch, held_out), sampler(2, batch, held_out))


def draw(key: Key, size: int, centres: jax.Array, spread: jax.Array, part: jax.Array) -> Batch:
    """Draws points x `[size, 2]`; with the same key, each part of a dataset draws different points."""
    mode_key, noise_key = jax.random.split(jax.random.fold_in(key, part))
    x = jnp.asarray(centres)[jax.random.randint(mode_key, (size,), 0, len(centres))]
    return {"x": x + spread * jax.random.normal(noise_key, x.shape)}
