"""Declarations of metrics: their directions and meanings, by what computes them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable)


class Metric(NamedTuple):
    """The declaration of a metric."""

    mode: (
        str | None
    )  #: the direction: whether the best value is the "min" or the "max"; None if neither is better
    meaning: str  #: in a few words


def minimized(**meanings: str) -> dict[str, Metric]:
    """Returns declarations of metrics whose lowest value is the best, from their meanings by name."""
    return _declarations("min", meanings)


def maximized(**meanings: str) -> dict[str, Metric]:
    """Returns declarations of metrics whose highest value is the best, from their meanings by name."""
    return _declarations("max", meanings)


def undirected(**meanings: str) -> dict[str, Metric]:
    """Returns declarations of metrics of which neither a lower nor a higher value is better."""
    return _declarations(None, meanings)


def declares(metrics: Mapping[str, Metric]) -> Callable[[Function], Function]:
    """Returns a decorator that declares the metric which a function computes, such as by `maximized(auc="...")`."""

    def decorate(function: Function) -> Function:
        setattr(function, "declared_metrics", metrics)  # noqa: B010  # type checkers know no attributes of functions
        return function

    return decorate


def direction(name: str, metrics: Mapping[str, Metric]) -> str | None:
    """Returns the declared direction of a metric, "min" or "max", or None if it has none.

    The declaration of a name is also that of `name/0`, `name/1` and so on, its entries or members.
    """
    metric = metrics.get(name) or metrics.get(name.partition("/")[0])
    return metric and metric.mode


def _declarations(mode: str | None, meanings: Mapping[str, str]) -> dict[str, Metric]:
    return {name: Metric(mode, meaning) for name, meaning in meanings.items()}
