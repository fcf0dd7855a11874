"""States and losses that are finite numbers, and the error where they are not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import named_leaves
from runner.errors import NotFinite


@jax.jit
def are_finite(state: Any) -> jax.Array:
    """Tells of each floating leaf, in their order, whether all its numbers are finite."""
    return jnp.array([jnp.isfinite(leaf).all() for leaf in _floating(state).values()], bool)


def refuse_not_finite(step: int, state: Any, found: Any = None) -> None:
    """Refuses the state after a step by its first leaf that holds a number that is not finite.

    Args:
        step: steps made.
        state: for what was found already, the names of its leaves are enough.
        found: what `are_finite` has told of the state.

    Raises:
        NotFinite: there is such a leaf.
    """
    found = np.asarray(are_finite(state) if found is None else found)  # for to take it apart here is quick
    for name, whole in zip(_floating(state), found, strict=True):
        if not whole:
            raise NotFinite(step, f"{name} of the state is not finite after step {step}")


def _floating(state: Any) -> dict[str, Any]:
    return {
        name: leaf for name, leaf in named_leaves(state).items() if jnp.issubdtype(leaf.dtype, jnp.inexact)
    }
