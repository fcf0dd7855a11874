"""Numbers about sets of examples, where losses say little: distances and coverage."""

from runner.metrics.coverage import high_quality, modes_covered
from runner.metrics.distances import energy_distance

__all__ = ["energy_distance", "high_quality", "modes_covered"]
