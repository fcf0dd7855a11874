"""Metrics of sets of examples, where losses say little: distances and coverage."""

from runner.metrics.coverage import high_quality, modes_covered
from runner.metrics.distances import energy_distance, kernel_distance, sliced_wasserstein
from runner.metrics.manifolds import precision_recall

__all__ = [
    "energy_distance",
    "high_quality",
    "kernel_distance",
    "modes_covered",
    "precision_recall",
    "sliced_wasserstein",
]
