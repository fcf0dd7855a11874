"""Checks that states and losses are finite, and the error that is raised if they are not."""

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import PyTree, named_leaves
from runner.errors import NotFinite


@jax.jit
def are_finite(state: PyTree) -> jax.Array:
    """Returns, for each floating leaf in order, whether all its values are finite: bool `[leaves]`."""
    return jnp.array([jnp.isfinite(leaf).all() for leaf in _floating(state).values()], bool)


def refuse_not_finite(step: int, state: PyTree, finite: PyTree = None) -> None:
    """Raises an error that names the first leaf of a state with a value that is not finite.

    Args:
        step: steps done.
        state: the state after `step` steps; if `finite` is given, the names of its leaves are enough.
        finite: the result of `are_finite` for the state, if it is already known.

    Raises:
        NotFinite: there is such a leaf.
    """
    # NumPy iterates over the flags faster than JAX.
    flags = np.asarray(are_finite(state) if finite is None else finite)
    for name, is_finite in zip(_floating(state), flags, strict=True):
        if not is_finite:
            raise NotFinite(step, f"{name} of the state is not finite after step {step}")


def _floating(state: PyTree) -> dict[str, PyTree]:
    return {
        name: leaf for name, leaf in named_leaves(state).items() if jnp.issubdtype(leaf.dtype, jnp.inexact)
    }
