"""What a loop trains and where it stores states: a checked scenario, and the protocol of its checkpoints."""

from typing import Generic, NamedTuple, Protocol

from runner.core import Evaluator, Metric, PyTree, Scenario, Source, State
from runner.loop.compiled import Program


class Store(Protocol):
    """Stores states, as `runner.Checkpoints` does."""

    def restore(self, template: State) -> tuple[int, State, dict] | None:
        """Returns the newest step, its state and what else was saved, or None if nothing is."""
        ...

    def save(self, step: int, state: PyTree, extra: dict, value: float | None) -> None:
        """Saves a state, the rest of what a resumed run needs, and the value of the metric `best`."""
        ...

    def refuse_failed(self) -> None:
        """Raises the error of an earlier save that failed."""
        ...

    def wait(self) -> None:
        """Waits until the last state is saved; raises its error if that failed."""
        ...


class Prepared(NamedTuple, Generic[State]):
    """A scenario that was checked against its data by shapes alone, without a compile.

    Attributes:
        program: the steps of the scenario on the training source.
        template: shapes and dtypes of the state.
        scenario: satisfies `runner.core.Scenario`.
        validation: the source of evaluations, or None.
        evaluator: as in `Loop.run`, or None.
        metrics: the declared metrics of the scenario and the evaluator.
        mode: whether the best value of the metric `best` is the "min" or the "max"; None without such a metric.
    """

    program: Program[State]
    template: State
    scenario: Scenario[State]
    validation: Source | None
    evaluator: Evaluator[State] | None
    metrics: dict[str, Metric]
    mode: str | None
