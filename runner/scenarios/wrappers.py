"""Any scenario, with something done to its steps."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from runner.scenario import begins, named_leaves, refuse_unknown_names
from runner.types import Batch, Key, Metrics, Spec


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """A scenario that does and can what another does and can.

    Attributes:
        scenario: the other.
        names: of parts of its state, such as "net.params.linear"; they end where a part of a leaf's name ends.
    """

    scenario: Any
    names: tuple[str, ...]
    setting: ClassVar[str]  # that a user gives the names by

    def __getattr__(self, name: str) -> Any:
        """Passes on what only some scenarios can."""
        if name == "scenario" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.scenario, name)

    def init(self, key: Key, spec: Spec) -> Any:
        """Makes the first state.

        Raises:
            ValueError: nothing in it has one of the names.
        """
        state = self.scenario.init(key, spec)
        refuse_unknown_names(self.setting, self.names, state)
        return state

    def step(self, key: Key, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        """Makes one step."""
        return self.scenario.step(key, state, batch)

    def evaluate(self, key: Key, state: Any, batch: Batch) -> Metrics:
        """Judges held-out data."""
        return self.scenario.evaluate(key, state, batch)


class Frozen(Wrapper):
    """Holds the named parts of the state still.

    Gradients of them are still taken: they count in a clipping by the global norm.
    """

    setting: ClassVar[str] = "freeze"

    def step(self, key: Key, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        """Makes one step, and puts the frozen leaves back."""
        after, metrics = self.scenario.step(key, state, batch)
        held = [begins(name, self.names) for name in named_leaves(state)]
        leaves, structure = jax.tree.flatten(after)
        kept = zip(held, jax.tree.leaves(state), leaves, strict=True)
        return structure.unflatten([old if hold else new for hold, old, new in kept]), metrics


class Watched(Wrapper):
    """Records the named parts of the state: a single number as it is, of anything larger the norm."""

    setting: ClassVar[str] = "watch"

    def step(self, key: Key, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        """Makes one step, and tells of the state after it."""
        after, metrics = self.scenario.step(key, state, batch)
        leaves = {name: leaf for name, leaf in named_leaves(after).items() if begins(name, self.names)}
        floating = {name: leaf for name, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jnp.floating)}
        size = lambda leaf: leaf.reshape(()) if leaf.size == 1 else jnp.linalg.norm(leaf.ravel())
        return after, metrics | {name: size(leaf) for name, leaf in floating.items()}
