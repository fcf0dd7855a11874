"""Metrics of regressions, from all outputs and targets of a set, both [N] or [N, ...]; as in scikit-learn."""

import numpy as np

from runner.core.declarations import declares, maximized, minimized


@declares(minimized(rmse="root mean squared error"))
def rmse(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the root of the mean squared error of all numbers."""
    return float(np.sqrt(np.mean(_errors(outputs, targets) ** 2)))


@declares(minimized(mae="mean absolute error"))
def mae(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the mean absolute error of all numbers."""
    return float(np.abs(_errors(outputs, targets)).mean())


@declares(maximized(r2="share of the variance of the targets that is explained"))
def r2(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes 1 - squared error / variance of all numbers; NaN or -inf if the targets are constant."""
    with np.errstate(all="ignore"):
        return float(1 - np.mean(_errors(outputs, targets) ** 2) / np.var(targets, dtype=np.float64))


def _errors(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.asarray(outputs, np.float64) - np.asarray(targets, np.float64)
