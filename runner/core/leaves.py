"""The leaves of a state, by name."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

#: A tree of arrays, such as a state or the outputs of a net: an array, or tuples, lists, dicts and other containers
#: that JAX knows, of trees. Python has no type for it.
PyTree: TypeAlias = Any


def named_leaves(tree: PyTree) -> dict[str, PyTree]:
    """Returns the leaves of a state by name, such as `net.params.mlp/linear.w`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def begins(name: str, prefixes: Sequence[str]) -> bool:
    """Returns whether a name is one of the prefixes, or continues one with a dot or a slash."""
    return any(name == prefix or name.startswith((f"{prefix}.", f"{prefix}/")) for prefix in prefixes)


def refuse_unknown_names(setting: str, prefixes: Sequence[str], tree: PyTree) -> None:
    """Raises ValueError if no leaf has a name that begins with one of the prefixes."""
    known = list(named_leaves(tree))
    for prefix in prefixes:
        if not any(begins(name, [prefix]) for name in known):
            raise ValueError(f"{setting}: nothing is named {prefix}; there are {listed(known)}")


def listed(names: Sequence[str], shown: int = 8) -> str:
    """Returns up to `shown` names for a message, and the number of the others."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def copy(tree: PyTree) -> PyTree:
    """Returns a copy of every leaf, so that two parts of a state share no buffer and both can be donated."""
    return jax.tree.map(jnp.copy, tree)
