"""Metrics of classifications, from all outputs and targets of a set; their definitions are those of scikit-learn.

Outputs are logits `[N, C]`, as `predict` of a classifier returns them, and targets are classes `[N]`. All computations
are in float64.
"""

from typing import NamedTuple

import numpy as np

from runner.core.declarations import declares, maximized, minimized

BINS = 15  # of confidence, as in Guo et al. 2017


class Classes(NamedTuple):
    """Precision, recall, F1 and number of examples of each class, all [C]; 0 where a share of nothing is meant."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


class Reliability(NamedTuple):
    """The bins of confidence that contain examples, all [bins]."""

    confidence: np.ndarray  #: the mean probability of the predicted class
    accuracy: np.ndarray  #: the share of the examples whose predicted class is right
    share: np.ndarray  #: of all examples


@declares(maximized(balanced_accuracy="mean of the recalls of the classes"))
def balanced_accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the mean recall of the classes that occur among the targets."""
    classes = per_class(outputs, targets)
    return float(classes.recall[classes.support > 0].mean())


@declares(maximized(macro_f1="mean of the F1 scores of the classes"))
def macro_f1(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the mean F1 score of the classes that occur among the targets or the predictions."""
    occur = np.union1d(targets, outputs.argmax(-1))
    return float(per_class(outputs, targets).f1[occur].mean())


@declares(maximized(auc="area under the ROC curve; of several classes, their mean, each against the rest"))
def auc(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the area under the ROC curve.

    Of two classes, it is that of class 1. Of several, it is the mean over the classes, each against the rest; classes
    that no target or every target has are left out. It is NaN if no class is left.
    """
    scores = probabilities(outputs)
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [_area(scores[:, each], targets == each) for each in classes]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else np.nan


def _area(scores: np.ndarray, is_positive: np.ndarray) -> float | None:
    """Returns the share of pairs of a positive and a negative in which the positive has the higher score."""
    positive, negative = scores[is_positive], np.sort(scores[~is_positive])
    if not (len(positive) and len(negative)):
        return None
    below = [np.searchsorted(negative, positive, side) for side in ("left", "right")]  # equal ones count half
    return float(np.mean(below) / len(negative))


@declares(minimized(log_loss="mean negative logarithm of the probability of the true class"))
def log_loss(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the mean of `-log p(true class)`, in nats, without the clipping of scikit-learn."""
    return float(-_log_probabilities(outputs)[np.arange(len(targets)), targets].mean())


@declares(minimized(calibration_error="mean distance of confidence and accuracy"))
def calibration_error(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Computes the expected calibration error of the predicted classes.

    It is the mean of `|accuracy - confidence|` over 15 bins of confidence of equal width, weighted by their examples.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    bins = reliability(outputs, targets)
    return float((bins.share * np.abs(bins.accuracy - bins.confidence)).sum())


def per_class(outputs: np.ndarray, targets: np.ndarray) -> Classes:
    """Computes precision, recall, F1 and number of examples of each class."""
    predicted, size = outputs.argmax(-1), outputs.shape[-1]
    counts = [np.bincount(labels, minlength=size) for labels in (targets, predicted)]
    support, given = counts
    right = np.bincount(targets[predicted == targets], minlength=size)
    ratio = lambda count, of: np.divide(count, of, out=np.zeros(size), where=of > 0)
    return Classes(ratio(right, given), ratio(right, support), ratio(2 * right, support + given), support)


def reliability(outputs: np.ndarray, targets: np.ndarray) -> Reliability:
    """Computes confidence and accuracy of the predicted classes, in bins of confidence of equal width."""
    confidence = probabilities(outputs).max(-1)
    edges = np.linspace(0, 1, BINS + 1)
    index = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(index, minlength=BINS)
    kept = counts > 0
    sums = [np.bincount(index, values, BINS)[kept] for values in (confidence, outputs.argmax(-1) == targets)]
    confidences, accuracies = (total / counts[kept] for total in sums)
    return Reliability(confidences, accuracies, counts[kept] / len(targets))


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """Returns the probabilities `[N, C]` of the classes, in float64."""
    return np.exp(_log_probabilities(outputs))


def _log_probabilities(outputs: np.ndarray) -> np.ndarray:
    if outputs.ndim != 2:
        raise ValueError(f"outputs: shape {outputs.shape}; a metric of classes needs logits [N, classes]")
    logits = np.asarray(outputs, np.float64)
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
