import numpy as np
import pytest
from sklearn import metrics as known

from runner.metrics import mae, r2, rmse


def test_metrics_of_numbers_are_those_of_scikit_learn():
    outputs, targets = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32) + 1000
    assert rmse(outputs, targets) == pytest.approx(known.root_mean_squared_error(targets, outputs))
    assert mae(outputs, targets) == pytest.approx(known.mean_absolute_error(targets, outputs))
    assert r2(outputs, targets) == pytest.approx(known.r2_score(targets, outputs))
    assert r2(outputs, np.ones(50)) == -np.inf
