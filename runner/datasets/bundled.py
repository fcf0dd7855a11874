"""Small real datasets that scikit-learn includes: nothing is downloaded."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from runner.core import Column, Dataset
from runner.datasets.splits import split


def digits(
    batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.15, test: float = 0.15
) -> Dataset:
    """Reads 1797 handwritten digits of 8 by 8 pixels, x [N, 8, 8, 1] in [0, 1], of 10 classes.

    Args:
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.

    Source: Alpaydin and Kaynak 1998, UCI optical recognition of handwritten digits (its test part).
    """
    rows = _digits()
    arrays = {"x": rows[:, :-1].reshape(-1, 8, 8, 1) / 16, "y": rows[:, -1].astype(int)}
    labels = [str(digit) for digit in range(10)]
    return split(arrays, batch_size, split_seed, validation, test, classes=len(labels), labels=labels)


def _digits() -> np.ndarray:
    """Reads 64 pixels and the label of each row, without importing scikit-learn, which takes a second."""
    package = importlib.util.find_spec("sklearn")
    folder = Path(str(package and package.origin)).parent
    return np.loadtxt(folder / "datasets" / "data" / "digits.csv.gz", delimiter=",")


def iris(
    batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.15, test: float = 0.15
) -> Dataset:
    """Reads 150 flowers of 3 species, with 4 measurements in cm each. The settings are those of `digits`.

    Source: Fisher 1936.
    """
    from sklearn.datasets import load_iris

    return _classification(load_iris(), batch_size, split_seed, validation, test)


def wine(
    batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.15, test: float = 0.15
) -> Dataset:
    """Reads 178 wines of 3 growers, with 13 chemical measurements each. The settings are those of `digits`.

    Source: Aeberhard and Forina 1991, UCI wine.
    """
    from sklearn.datasets import load_wine

    return _classification(load_wine(), batch_size, split_seed, validation, test)


def breast_cancer(
    batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.15, test: float = 0.15
) -> Dataset:
    """Reads 569 tumours, malignant or benign, with 30 measurements of cell nuclei each.

    The settings are those of `digits`.

    Source: Wolberg, Mangasarian, Street and Street 1993, UCI breast cancer Wisconsin (diagnostic).
    """
    from sklearn.datasets import load_breast_cancer

    return _classification(load_breast_cancer(), batch_size, split_seed, validation, test)


def diabetes(
    batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.15, test: float = 0.15
) -> Dataset:
    """Reads 442 patients, with 10 measurements each; y [N, 1] is the disease's progression after a year.

    The settings are those of `digits`.

    Source: Efron, Hastie, Johnstone and Tibshirani 2004.
    """
    from sklearn.datasets import load_diabetes

    # Unscaled, because scikit-learn computes the statistics of its scaled form from the held-out rows too.
    bunch: Any = load_diabetes(scaled=False)
    arrays = {"x": bunch.data, "y": bunch.target[:, None]}
    return split(arrays, batch_size, split_seed, validation, test, **_names(bunch))


def _classification(bunch: Any, *settings) -> Dataset:
    arrays = {"x": bunch.data, "y": bunch.target}
    labels = [str(name) for name in bunch.target_names]
    return split(arrays, *settings, classes=len(labels), labels=labels, **_names(bunch))


def _names(bunch: Any) -> dict[str, object]:
    return {"columns": [Column(str(name)) for name in bunch.feature_names], "target": "target"}
