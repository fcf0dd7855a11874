"""Scenarios that change or record the steps of another scenario."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Metrics, PyTree, Spec, begins, named_leaves, refuse_unknown_names
from runner.core.wrapper import Wrapper


@dataclasses.dataclass(frozen=True)
class PartsWrapper(Wrapper):
    """A scenario that treats parts of the state of another one in its own way.

    Attributes:
        names: of parts of the state, such as "net.params.linear"; a name ends where a part of a leaf's name ends.
    """

    names: tuple[str, ...]
    setting: ClassVar[str]  # by which a user chooses the names

    def init(self, key: Key, spec: Spec) -> PyTree:
        """Returns the first state.

        Raises:
            ValueError: nothing in it has one of the names.
        """
        state = super().init(key, spec)
        refuse_unknown_names(self.setting, self.names, state)
        return state


class Frozen(PartsWrapper):
    """Keeps the named parts of the state constant.

    Their gradients are still computed, and count where gradients are clipped by their global norm.
    """

    setting: ClassVar[str] = "freeze"

    def step(self, key: Key, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        """Computes one step, and restores the frozen leaves."""
        after, metrics = self.scenario.step(key, state, batch)
        frozen = [begins(name, self.names) for name in named_leaves(state)]
        leaves, structure = jax.tree.flatten(after)
        kept = zip(frozen, jax.tree.leaves(state), leaves, strict=True)
        return structure.unflatten([old if keep else new for keep, old, new in kept]), metrics


class Watched(PartsWrapper):
    """Records the named parts of the state: the value of a single number, the norm of anything larger."""

    setting: ClassVar[str] = "watch"

    def step(self, key: Key, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        """Computes one step; the metrics include the named parts of the state after it."""
        after, metrics = self.scenario.step(key, state, batch)
        leaves = {name: leaf for name, leaf in named_leaves(after).items() if begins(name, self.names)}
        floating = {name: leaf for name, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jnp.floating)}
        size = lambda leaf: leaf.reshape(()) if leaf.size == 1 else jnp.linalg.norm(leaf.ravel())
        return after, metrics | {name: size(leaf) for name, leaf in floating.items()}
