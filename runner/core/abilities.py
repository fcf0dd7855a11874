"""Optional abilities of scenarios, evaluators and sources: small protocols, which `supports` looks up by name."""

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

import jax

from runner.core.declarations import Metric
from runner.core.leaves import PyTree
from runner.core.protocol import Batch, Key, Metrics, Scenario, Source
from runner.core.spec import Spec

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # part of `typing` from Python 3.13 on

__all__ = [
    "Averaging",
    "Combining",
    "Compiling",
    "CountingUpdates",
    "Declaring",
    "Encoding",
    "Judging",
    "Naming",
    "Positioned",
    "Predicting",
    "Reconstructing",
    "Sampling",
    "ShapingNets",
    "Spreading",
    "Standardizing",
    "Summarizing",
    "TakingBatches",
    "declared",
    "supports",
]

SIMILAR = 0.83  # of 1: one slip in a word of six letters, such as `sampel`
Ability = TypeVar("Ability")


class Sampling(Protocol):
    """Generates examples: for `runner sample` and `evaluation=samples`."""

    def sample(self, key: Key, state: PyTree, n: int, **settings: object) -> jax.Array:
        """Returns samples `[n, ...]`; may take more settings, which `**settings` passes on."""
        ...


class Predicting(Protocol):
    """Predicts from x: for `runner predict`, figures and the mean prediction of an ensemble."""

    def predict(self, state: PyTree, x: jax.Array) -> jax.Array:
        """Returns outputs `[B, ...]`."""
        ...


class Judging(Protocol):
    """Evaluates given outputs of `predict`, such as the mean prediction of an ensemble."""

    def judge(self, state: PyTree, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns metrics, with one value per example `[B, ...]`."""
        ...


class Combining(Protocol):
    """Defines the mean of several predictions, if it is not the mean of their outputs."""

    def combine(self, outputs: jax.Array) -> jax.Array:
        """Returns outputs `[B, ...]`, the mean of `[K, B, ...]`."""
        ...


class Spreading(Protocol):
    """Estimates the uncertainty of predictions, as an ensemble does."""

    def spread(self, state: PyTree, x: jax.Array) -> jax.Array:
        """Returns standard deviations `[B, ...]` of the outputs of `predict`."""
        ...


class Reconstructing(Protocol):
    """Reconstructs x: for figures."""

    def reconstruct(self, state: PyTree, x: jax.Array) -> jax.Array:
        """Returns x `[B, ...]`."""
        ...


class Encoding(Protocol):
    """Computes features of x: for `evaluation=features` of another run."""

    def features(self, state: PyTree, x: jax.Array) -> jax.Array:
        """Returns features `[B, F]`."""
        ...


class Summarizing(Protocol):
    """Computes metrics that are not means, such as R²."""

    def summarize(self, means: Metrics) -> Metrics:
        """Returns the metrics of an evaluation, from the means of those of `evaluate`."""
        ...


class TakingBatches(Protocol):
    """Uses several batches in one step."""

    @property
    def batches_per_step(self) -> int | None:
        """The number n of batches, whose leaves are `[n, B, ...]`, or None for one without that axis."""
        ...


class ShapingNets(Protocol):
    """Completes nets without an output shape."""

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns the shape of one output for each field that is a net."""
        ...


class CountingUpdates(Protocol):
    """Performs several updates in one step, by which schedules count."""

    def updates_per_step(self) -> dict[str, int]:
        """Returns the number of updates for each field that is an optimizer, if it is more than one."""
        ...


class Averaging(Protocol):
    """Declares which weights sample and are evaluated."""

    @property
    def weights(self) -> str:
        """Either "average" or "raw"."""
        ...


class Standardizing(Protocol):
    """Declares whether x is standardized before it reaches a net; data that is not is checked for its scale."""

    @property
    def standardize(self) -> bool:
        """Whether x is standardized."""
        ...


class Declaring(Protocol):
    """A scenario or an evaluator that declares the metrics that it computes.

    What follows the value of a metric (`Loop.best`, patience, checkpoints, comparisons) takes its direction from here.
    """

    @property
    def declared_metrics(self) -> Mapping[str, Metric]:
        """The direction and the meaning of each metric; a name also stands for `name/0`, `name/1` and so on."""
        ...


class Naming(Protocol):
    """An evaluator that knows the names of its metrics, so that `best` is checked before anything is compiled."""

    def names(self, scenario: Scenario, state: PyTree, source: Source) -> tuple[str, ...]:
        """Returns the names, from shapes and dtypes of the state."""
        ...


class Compiling(Protocol):
    """An evaluator that compiles in parallel to the first steps."""

    def compile(self, scenario: Scenario, state: PyTree, source: Source) -> None:
        """Compiles the evaluation, from shapes and dtypes of the state."""
        ...


class Positioned(Protocol):
    """A source of which a run can be resumed only from a position that its checkpoint contains."""

    def position(self, batch: int) -> object:
        """Returns what is needed to continue with a batch, the next or the last one; JSON can represent it."""
        ...

    def seek(self, batch: int, position: object) -> None:
        """Continues with a batch, from what `position` returned before the run was interrupted, or None."""
        ...


ABILITIES = (
    *(Sampling, Predicting, Judging, Combining, Spreading, Reconstructing, Encoding, Summarizing),
    *(TakingBatches, ShapingNets, CountingUpdates, Averaging, Standardizing, Declaring),
)


def supports(part: object, ability: type[Ability]) -> "TypeIs[Ability]":
    """Returns whether a scenario or an evaluator has an optional ability; properties of its class are not evaluated.

    A wrapper may find the abilities of what it wraps by `__getattr__`. `isinstance` would not see these from Python
    3.12 on.
    """
    return all(_has(part, name) for name in members(ability))


def batches_per_step(scenario: Scenario) -> int | None:
    """Returns how many batches a scenario takes in one step, or None for one without an axis of batches."""
    return scenario.batches_per_step if supports(scenario, TakingBatches) else None


def weights(scenario: Scenario) -> str:
    """Returns which weights of a scenario sample and are evaluated, "average" or "raw"."""
    return scenario.weights if supports(scenario, Averaging) else "raw"


def declared(*parts: object) -> dict[str, Metric]:
    """Returns the declared metrics of scenarios and evaluators; of equal names, that of the last part.

    Raises:
        ValueError: a declaration is not a `Metric` with a direction.
    """
    metrics = {}
    for part in parts:
        for name, metric in part.declared_metrics.items() if supports(part, Declaring) else ():
            if not (isinstance(metric, Metric) and metric.mode in ("min", "max", None)):
                raise ValueError(
                    f"declared_metrics: {name} is {metric!r:.100}, and not such as Metric('min', 'what it is')"
                )
            metrics[name] = metric
    return metrics


def refuse_misspelled(scenario: object) -> None:
    """Checks that no public member of a scenario's class has almost the name of a member that the scenario lacks.

    Nothing calls a method `sampel`, so the scenario would train for hours and then could not sample. This is an error
    because a warning is easily missed, and a helper that is meant to be there only needs another name. The settings of
    a scenario, its fields, may have any name.

    Raises:
        ValueError: there is such a member.
    """
    kind, fields = type(scenario), [field.name for field in _fields(scenario)]
    known = [name for protocol in (Scenario, *ABILITIES) for name in members(protocol)]
    lacking = [name for name in known if not _has(scenario, name)]
    for name in sorted({name for base in kind.__mro__[:-1] for name in vars(base)} - {*known, *fields}):
        matches = difflib.get_close_matches(name, lacking, n=1, cutoff=SIMILAR)
        if matches and not name.startswith("_"):
            raise ValueError(
                f"{kind.__name__}.{name}: nothing uses this; did you mean {matches[0]}? "
                f"If it is a helper, rename it, for example to _{name}"
            )
    for name in fields:
        if isinstance(part := getattr(scenario, name), Scenario):
            refuse_misspelled(part)


def members(protocol: type) -> list[str]:
    """Returns the names of the members of a protocol."""
    return [name for name in vars(protocol) if not name.startswith("_")]


def _has(part: object, name: str) -> bool:
    if inspect.getattr_static(part, name, None) is not None:
        return True
    find = getattr(type(part), "__getattr__", None)
    try:
        return find is not None and find(part, name) is not None
    except AttributeError:
        return False


def _fields(scenario: object) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(scenario) if dataclasses.is_dataclass(scenario) else ()
