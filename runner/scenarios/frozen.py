"""Any scenario, with parts of its state held still."""

import dataclasses
from typing import Any

import jax

from runner.scenario import begins, named_leaves, refuse_unknown_names
from runner.types import Batch, Key, Metrics, Spec


@dataclasses.dataclass(frozen=True)
class Frozen:
    """Trains a scenario but for the leaves of its state whose names begin with one of the given.

    What else the scenario can, it can too. Gradients of the leaves are still taken: they count in a clipping by the
    global norm.

    Attributes:
        scenario: that is trained.
        names: of parts of its state, such as "net.params.linear"; they end where a part of the name ends.
    """

    scenario: Any
    names: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        """Passes on what the scenario can."""
        if name == "scenario" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.scenario, name)

    def init(self, key: Key, spec: Spec) -> Any:
        """Makes the first state.

        Raises:
            ValueError: nothing in it has one of the names.
        """
        state = self.scenario.init(key, spec)
        refuse_unknown_names("freeze", self.names, state)
        return state

    def step(self, key: Key, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        """Makes one step, and puts the frozen leaves back."""
        after, metrics = self.scenario.step(key, state, batch)
        held = [begins(name, self.names) for name in named_leaves(state)]
        leaves, structure = jax.tree.flatten(after)
        kept = zip(held, jax.tree.leaves(state), leaves, strict=True)
        return structure.unflatten([old if hold else new for hold, old, new in kept]), metrics

    def evaluate(self, key: Key, state: Any, batch: Batch) -> Metrics:
        """Judges held-out data as the scenario does."""
        return self.scenario.evaluate(key, state, batch)
