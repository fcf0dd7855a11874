"""Which step is the best: the one rule for the loop, checkpoints, run information and comparisons."""

import math
from collections.abc import Iterable
from typing import NamedTuple

MODES = ("min", "max")


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
