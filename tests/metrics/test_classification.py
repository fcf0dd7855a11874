import numpy as np
import pytest
from sklearn import metrics as known
from sklearn.calibration import calibration_curve

from runner.metrics import auc, balanced_accuracy, calibration_error, log_loss, macro_f1
from runner.metrics.classification import per_class, probabilities

RNG = np.random.default_rng(0)


def drawn(classes, size=300):
    """Returns logits that say something of the targets, with ties, and targets of which one class is rare."""
    targets = RNG.choice(classes, size, p=np.r_[0.05, np.full(classes - 1, 0.95 / (classes - 1))])
    logits = RNG.normal(size=(size, classes)) + 1.5 * np.eye(classes)[targets]
    return logits.round(1).astype(np.float32), targets.astype(np.int32)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_metrics_of_classes_are_those_of_scikit_learn(classes):
    logits, targets = drawn(classes)
    p, predicted = probabilities(logits), logits.argmax(1)
    scores = p[:, 1] if classes == 2 else p
    found = [each(logits, targets) for each in (balanced_accuracy, macro_f1, auc, log_loss)]
    expected = [
        known.balanced_accuracy_score(targets, predicted),
        known.f1_score(targets, predicted, average="macro"),
        known.roc_auc_score(targets, scores, multi_class="ovr"),
        known.log_loss(targets, p),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    of_scikit_learn = known.precision_recall_fscore_support(targets, predicted, zero_division=0)
    np.testing.assert_allclose(per_class(logits, targets), of_scikit_learn, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_calibration_error_is_that_of_the_bins_of_scikit_learn(classes):
    logits, targets = drawn(classes)
    confidence, right = probabilities(logits).max(1), logits.argmax(1) == targets
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    share = np.histogram(confidence, np.linspace(0, 1, 16))[0] / len(targets)
    expected = (share[share > 0] * np.abs(accuracy - mean)).sum()
    assert calibration_error(logits, targets) == pytest.approx(expected, rel=1e-9)
    certain = 50 * np.eye(2, dtype=np.float32)[[0, 1, 1, 1]]
    assert calibration_error(certain, np.int32([0, 1, 1, 0])) == pytest.approx(0.25)


def test_classes_that_do_not_occur_do_not_count():
    logits, targets = drawn(4)
    logits[:, 3] = -9.0
    targets = targets % 3
    predicted = logits.argmax(1)
    assert balanced_accuracy(logits, targets) == pytest.approx(
        known.recall_score(targets, predicted, average="macro")
    )
    assert macro_f1(logits, targets) == pytest.approx(known.f1_score(targets, predicted, average="macro"))
    p = probabilities(logits)
    each = [known.roc_auc_score(targets == index, p[:, index]) for index in range(3)]
    assert auc(logits, targets) == pytest.approx(np.mean(each))
    assert np.isnan(auc(logits[:, :2], np.zeros(len(logits), np.int32)))


def test_outputs_that_are_no_logits_are_refused():
    with pytest.raises(ValueError, match=r"^outputs: shape \(3,\); a metric of classes needs logits"):
        auc(np.zeros(3, np.float32), np.int32([0, 1, 0]))
