"""Metrics of sets of examples: distances and coverage of samples, and metrics of all outputs and targets."""

from runner.metrics.classification import (
    auc,
    balanced_accuracy,
    calibration_error,
    log_loss,
    macro_f1,
    probabilities,
)
from runner.metrics.coverage import high_quality, modes_covered
from runner.metrics.distances import energy_distance, kernel_distance, sliced_wasserstein
from runner.metrics.manifolds import precision_recall
from runner.metrics.regression import mae, r2, rmse

__all__ = [
    "auc",
    "balanced_accuracy",
    "calibration_error",
    "energy_distance",
    "high_quality",
    "kernel_distance",
    "log_loss",
    "macro_f1",
    "mae",
    "modes_covered",
    "precision_recall",
    "probabilities",
    "r2",
    "rmse",
    "sliced_wasserstein",
]
