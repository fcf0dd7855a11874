import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import Modes
from runner.metrics import high_quality, modes_covered

LINE = Modes(jnp.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]]), 0.5)


def points(*first_coordinates):
    return jnp.array([[first, 0.0] for first in first_coordinates])


def test_high_quality_is_the_share_within_three_spreads():
    assert high_quality(points(0, 1.4, 1.6, 9, 15), LINE) == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("first_coordinates", "expected"),
    [
        ([0] * 10, 1),
        ([0] * 10 + [10] * 10 + [20] * 10, 3),
        ([0] * 14 + [10], 2),  # 1 of 15 is 20 % of the fair share, 5
        ([0] * 15 + [10], 1),
        ([0] * 4 + [10] + [15] * 100, 2),  # points far from all modes set no share
        ([15] * 10, 0),
    ],
)
def test_a_mode_is_covered_by_a_fifth_of_its_fair_share(first_coordinates, expected):
    assert modes_covered(points(*first_coordinates), LINE) == expected


def test_real_points_cover_all_modes_with_the_known_quality():
    angles = np.arange(8) * np.pi / 4
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], 1)
    which, noise = jax.random.split(jax.random.key(0))
    chosen = jnp.asarray(centres)[jax.random.randint(which, (4000,), 0, 8)]
    x = chosen + 0.05 * jax.random.normal(noise, (4000, 2))
    modes = Modes(centres, 0.05)
    assert modes_covered(x, modes) == 8
    assert high_quality(x, modes) == pytest.approx(1 - np.exp(-4.5), abs=0.006)
