"""How well samples cover a mixture whose modes are known."""

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Modes

REACH = 3  # spreads from the nearest centre within which a point is of high quality
FAIR_SHARE = 0.2  # a mode is covered if it has this share of the points that it would have if all had as many


@jax.jit
def high_quality(x: jax.Array | np.ndarray, modes: Modes) -> jax.Array:
    """Returns the fraction of the points `x [N, D]` within 3 spreads of the nearest centre.

    For real points in the plane it is 0.989. It rewards collapse (one mode is enough): read it together with
    `modes_covered`.
    """
    return _near(x, modes).any(1).mean()


@jax.jit
def modes_covered(x: jax.Array | np.ndarray, modes: Modes) -> jax.Array:
    """Counts the centres that have at least 20 % of an equal share of the high-quality points of `x [N, D]`.

    This is stricter than the usual count of the centres that have any point.
    """
    points = _near(x, modes).sum(0)
    return ((points > 0) & (points >= FAIR_SHARE * points.mean())).sum()


def _near(x: jax.Array | np.ndarray, modes: Modes) -> jax.Array:
    """Returns whether each point is close to each centre, and it is the nearest one: [N, M]."""
    gaps = jnp.linalg.norm(x[:, None] - jnp.asarray(modes.centres)[None], axis=-1)
    nearest = jax.nn.one_hot(gaps.argmin(1), gaps.shape[1], dtype=bool)
    return nearest & (gaps <= REACH * modes.spread)
