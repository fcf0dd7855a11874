"""Which value of a metric is the best: the one rule for the loop, checkpoints, run info and comparisons."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from runner.core.declarations import Metric, direction

MODES = ("min", "max")


def mode_of(best: str, mode: str | None, declared: Mapping[str, Metric], saved: bool = False) -> str:
    """Returns the direction of the metric `best`: the declared one, or else the given one.

    Args:
        best: the name of a metric.
        mode: the setting, "min", "max" or None.
        declared: metrics, by their names.
        saved: whether the setting is that of a saved run, which keeps it.

    Raises:
        ValueError: there is neither, or they contradict each other.
    """
    known = direction(best, declared)
    if mode is None and known is None:
        raise ValueError(
            f"loop.mode: nothing declares whether a higher or a lower {best} is better;"
            " say loop.mode=max or loop.mode=min"
        )
    if None not in (mode, known) and mode != known and not saved:
        raise ValueError(
            f"loop.mode: {mode} contradicts the declaration of {best}, whose best value is the {known}; leave it out"
        )
    return mode or known or ""


def rank(value: float | None, mode: str) -> tuple[bool, float]:
    """Returns a sort key that puts the best value first, and missing or non-finite values last.

    Args:
        value: the value of a metric.
        mode: "min" or "max".
    """
    if value is None or not math.isfinite(value):
        return True, 0.0
    return False, value if mode == "min" else -value


def best_of(values: Iterable[tuple[int, float | None]], mode: str) -> tuple[int, float] | None:
    """Returns the (step, value) with the best finite value, the first of equal ones, or None if there is none.

    Args:
        values: pairs (step, value) in the order of the steps.
        mode: "min" or "max".
    """
    finite = [(step, value) for step, value in values if value is not None and math.isfinite(value)]
    return min(finite, key=lambda each: rank(each[1], mode), default=None)


class Best(NamedTuple):
    """The best evaluation so far, and the number of evaluations since.

    Attributes:
        value: the best value of the metric, or None before the first finite evaluation.
        step: the step of that evaluation.
        misses: the number of evaluations since then, none of them better.
    """

    value: float | None = None
    step: int = 0
    misses: int = 0

    def after(self, step: int, value: float, mode: str) -> "Best":
        """Returns the best evaluation after one more, at `step` with the given value."""
        if rank(value, mode) < rank(self.value, mode):
            return Best(value, step)
        return self._replace(misses=self.misses + 1)
