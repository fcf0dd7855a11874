"""The base of scenarios that change or record the steps of another scenario."""

import dataclasses

from runner.core.leaves import PyTree
from runner.core.protocol import Batch, Key, Metrics, Scenario
from runner.core.spec import Spec


@dataclasses.dataclass(frozen=True)
class Wrapper:
    """A scenario that behaves like another one, optional methods included.

    Attributes:
        scenario: the other scenario.
    """

    scenario: Scenario[PyTree]

    def __getattr__(self, name: str) -> PyTree:
        """Returns what only some scenarios have."""
        if name == "scenario" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.scenario, name)

    def init(self, key: Key, spec: Spec) -> PyTree:
        """Returns the first state."""
        return self.scenario.init(key, spec)

    def step(self, key: Key, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        """Computes one step."""
        return self.scenario.step(key, state, batch)

    def evaluate(self, key: Key, state: PyTree, batch: Batch) -> Metrics:
        """Evaluates held-out data."""
        return self.scenario.evaluate(key, state, batch)
