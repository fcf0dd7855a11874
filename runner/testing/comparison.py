"""Comparison of states."""

import jax
import numpy as np

from runner.core import PyTree, named_leaves
from runner.testing.results import expect

TOLERANCE = 1e-3  # of the norm of a leaf, between programs whose sums are ordered differently


def equal(one: PyTree, two: PyTree) -> bool:
    """Returns whether two trees have equal leaves."""
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in leaves)


def require_equal(one: PyTree, two: PyTree) -> None:
    """Raises AssertionError, naming the first leaf that differs, unless two states are equal bit for bit."""
    for (name, a), b in zip(named_leaves(one).items(), jax.tree.leaves(two), strict=True):
        expect(np.array_equal(np.asarray(a), np.asarray(b)), f"{name} of the state differs")


def distance(one: PyTree, two: PyTree, slack: dict[str, float]) -> float:
    """Returns the largest distance of two leaves, relative to the norm of the second, that is more than `slack`.

    Args:
        one: a state.
        two: a state with the same leaves.
        slack: name of a leaf -> how far a change of its first value in the last digit has led. A bias in front of
            BatchNorm, for example, has a gradient of rounding errors alone, which Adam turns into full steps.

    Raises:
        AssertionError: two leaves differ by more than rounding explains.
    """
    largest = 0.0
    for (name, a), b in zip(named_leaves(one).items(), jax.tree.leaves(two), strict=True):
        off, norm = gap(a, b), gap(b, np.zeros_like(b))
        fault = f"{name} differs by {off / (norm or 1):.1e} of its norm"
        expect(off <= TOLERANCE * norm + 10 * slack[name] + 1e-6, fault)
        if norm and off > slack[name]:
            largest = max(largest, off / norm)
    return largest


def gap(one: PyTree, two: PyTree) -> float:
    """Returns the norm of the difference of two arrays."""
    return float(np.linalg.norm(np.asarray(one, np.float64) - np.asarray(two, np.float64)))
