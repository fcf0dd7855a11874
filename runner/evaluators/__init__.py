"""How a state is judged: means over held-out data, sets of samples against it."""

from runner.evaluators.means import Means
from runner.evaluators.samples import Samples

__all__ = ["Means", "Samples"]
