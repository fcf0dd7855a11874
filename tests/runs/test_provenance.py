"""Where a run's results come from."""

import numpy as np

from runner.core import Dataset
from runner.datasets import Arrays
from runner.runs import provenance


def dataset(x):
    source = Arrays({"x": np.asarray(x, np.float32)}, 1)
    return Dataset(source, source, source)


def test_the_digest_changes_with_any_value_and_with_the_spec():
    digests = [provenance.digest(dataset(x)) for x in ([[1.0], [2.0]], [[1.0], [3.0]], [[1.0, 2.0]])]
    assert len(set(digests)) == 3
    assert provenance.digest(dataset([[1.0], [2.0]])) == digests[0]


def test_the_number_of_processors_is_the_one_that_xla_uses(monkeypatch):
    monkeypatch.setenv("NPROC", "3")
    assert provenance.processors() == 3
