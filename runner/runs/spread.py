"""The spread of a metric over runs that differ in their seed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """Mean, sample deviation (0 of a single value), minimum and maximum."""

    mean: float
    std: float
    min: float
    max: float


def spread_of(values: Sequence[float]) -> Spread:
    """Returns the spread of at least one value."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation, min(values), max(values))
