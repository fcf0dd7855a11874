"""Metrics and figures of all outputs of a scenario for held-out data, and their targets."""

import functools
import math
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import jax
import numpy as np

from runner.core import Draw, Metric, PyTree, Scenario, Source, Spec
from runner.core.abilities import Predicting, declared, supports
from runner.core.declarations import undirected
from runner.metrics.classification import per_class, reliability
from runner.writers import diagnostics

LARGEST = 2**27  # outputs that are kept, 512 MiB of float32
TARGETS = 32  # with more of them, their metrics would hide all others

Function = Callable[..., float]


class Whole(NamedTuple):
    """Functions of all outputs and targets; the settings `metrics` and `per_target` of `Means`."""

    metrics: tuple[Function, ...]
    per_target: tuple[Function, ...]

    @property
    def declared_metrics(self) -> dict[str, Metric]:
        """The declarations of the functions, and of `majority`."""
        own = undirected(
            majority="accuracy of always predicting the most frequent class of the training rows"
        )
        functions = map(_function, self.metrics + self.per_target)
        return {**(own if self.metrics else {}), **declared(*functions)}

    def check(self) -> None:
        """Raises ValueError if something is no function, or two functions have one name."""
        for setting, functions in (("metrics", self.metrics), ("per_target", self.per_target)):
            names = []
            for function in functions:
                if not callable(function):
                    raise ValueError(f"{setting}: {function!r:.100} is no function of outputs and targets")
                if _name(function) in names:
                    raise ValueError(f"{setting}: two functions have the name {_name(function)}; rename one")
                names.append(_name(function))

    def needs_outputs(self, spec: Spec) -> bool:
        """Returns whether there is anything to compute for this data."""
        return bool(self.metrics or (self.per_target and target_names(spec)))

    def names(
        self, scenario: Scenario, state: PyTree, source: Source, others: Collection[str]
    ) -> Iterator[str]:
        """Yields the names of the metrics, from shapes alone.

        Args:
            scenario: the scenario that is evaluated.
            state: shapes and dtypes of its state.
            source: the held-out data.
            others: the names of other metrics.

        Raises:
            ValueError: the scenario or the data has no outputs or targets, there are too many to keep, or a name is
                that of another metric.
        """
        if not self.needs_outputs(source.spec):
            return
        if not supports(scenario, Predicting) or not {"x", "y"} <= source.spec.features.keys():
            what = "data" if supports(scenario, Predicting) else type(scenario).__name__
            raise ValueError(
                f"evaluation.metrics: {what} has no outputs with targets to be computed from; take evaluation=means"
            )
        shape = _shape_of_outputs(scenario, state, source)
        names = ["majority"] if self._majority(source.spec, shape) is not None else []
        names += [_name(function) for function in self.metrics]
        names += [
            f"{_name(function)}/{target}"
            for target in target_names(source.spec)
            for function in self.per_target
        ]
        for name in names:
            if name in others:
                raise ValueError(
                    f"evaluation.metrics: the scenario has a metric {name}, too; rename the function"
                )
            yield name

    def __call__(
        self, outputs: np.ndarray, targets: np.ndarray, spec: Spec
    ) -> tuple[dict[str, float], dict[str, Draw]]:
        """Computes the metrics and figures.

        Args:
            outputs: [N, ...].
            targets: [N, ...].
            spec: of the data.

        Raises:
            ValueError: a function does not return one number.
        """
        values = {}
        if (majority := self._majority(spec, outputs.shape)) is not None:
            values["majority"] = float((targets == majority).mean())
        values |= {_name(function): _number(function, outputs, targets) for function in self.metrics}
        for index, target in enumerate(target_names(spec)):
            columns = outputs[:, index], targets[:, index]
            values |= {
                f"{_name(function)}/{target}": _number(function, *columns) for function in self.per_target
            }
        drawn = {}
        if self.metrics and _are_logits(spec, outputs.shape):
            bins, table = reliability(outputs, targets), per_class(outputs, targets)
            drawn["reliability"] = functools.partial(diagnostics.reliability, *bins)
            drawn["classes"] = functools.partial(diagnostics.classes, table._asdict(), spec.labels)
        return values, drawn

    def _majority(self, spec: Spec, shape: tuple[int, ...]) -> int | None:
        """Returns the most frequent class of the training rows, or None if it is not known or not asked for."""
        if not (self.metrics and _are_logits(spec, shape)) or spec.frequencies is None:
            return None
        return int(np.argmax(spec.frequencies))


def _shape_of_outputs(scenario: Predicting, state: PyTree, source: Source) -> tuple[int, ...]:
    """Returns the shape of one output, [1, ...]; raises ValueError if there are too many of them to keep."""
    shape = jax.eval_shape(scenario.predict, state, source.spec.example(1)["x"]).shape
    count = (source.size or source.batch_size) * math.prod(shape)
    if count > LARGEST:
        raise ValueError(
            f"evaluation.metrics: need all {count} outputs for the held-out data, more than the {LARGEST} that are"
            " kept; take evaluation=means, or less held-out data"
        )
    return shape


def _are_logits(spec: Spec, shape: tuple[int, ...]) -> bool:
    """Returns whether outputs of a shape are one logit for each class, for targets that are classes [N]."""
    return spec.classes is not None and spec.shape("y") == () and shape[1:] == (spec.classes,)


def target_names(spec: Spec) -> tuple[str, ...]:
    """Returns the names of the targets if there are several: those of their columns, or else y0, y1 and so on."""
    shape = spec.features["y"].shape if "y" in spec.features and spec.classes is None else ()
    if len(shape) != 1 or not 1 < shape[0] <= TARGETS:
        return ()
    return tuple(column.name for column in spec.targets) or tuple(f"y{index}" for index in range(shape[0]))


def _function(function: Function) -> Function:
    """Returns the function to which settings may be bound."""
    return function.func if isinstance(function, functools.partial) else function


def _name(function: Function) -> str:
    return getattr(_function(function), "__name__", type(function).__name__)


def _number(function: Function, outputs: np.ndarray, targets: np.ndarray) -> float:
    value = np.asarray(function(outputs, targets))
    if value.shape or not (np.issubdtype(value.dtype, np.number) or value.dtype == bool):
        raise ValueError(
            f"evaluation.metrics: {_name(function)} returns {value.dtype}{value.shape}; a metric is one number"
        )
    return float(value)
