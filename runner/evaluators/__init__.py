"""Evaluators of a state: means over held-out data, and comparisons of samples with it."""

from runner.evaluators.means import Means
from runner.evaluators.samples import Samples

__all__ = ["Means", "Samples"]
