import numpy as np
import pytest

from runner import datasets


@pytest.mark.parametrize(
    ("name", "rows", "shape", "classes"),
    [
        ("digits", 1797, (8, 8, 1), 10),
        ("iris", 150, (4,), 3),
        ("wine", 178, (13,), 3),
        ("breast_cancer", 569, (30,), 2),
        ("diabetes", 442, (10,), None),
    ],
)
def test_each_is_whole_and_described(name, rows, shape, classes):
    data = getattr(datasets, name)()
    assert sum(source.size for source in data) == rows
    assert data.spec.features["x"] == (shape, "float32")
    assert data.spec.features["y"] == (((), "int32") if classes else ((1,), "float32"))
    assert (data.spec.classes, len(data.spec.labels)) == (classes, classes or 0)
    assert len(data.spec.columns) == (0 if name == "digits" else shape[0])
    assert set(map(type, (*data.spec.labels, *(column.name for column in data.spec.columns)))) == {str}


def test_digits_lie_between_zero_and_one():
    x = datasets.digits().train.arrays["x"]
    assert (x.min(), x.max()) == (0, 1)


def test_diabetes_stands_in_its_own_units():
    data = datasets.diabetes()
    ages = np.asarray(data.train.arrays["x"][:, [column.name for column in data.spec.columns].index("age")])
    assert 18 < ages.min() < ages.max() < 90


def test_no_batch_size_is_the_whole_training_set():
    data = datasets.iris(batch_size=None)
    assert data.train.batch_size == data.train.size == 106


def test_columns_and_labels_stand_in_the_order_of_the_values():
    data = datasets.iris(batch_size=None)
    place = [column.name for column in data.spec.columns].index("petal length (cm)")
    x, y = (np.asarray(data.train.arrays[name]) for name in "xy")
    lengths = {label: x[y == number, place].mean() for number, label in enumerate(data.spec.labels)}
    assert lengths["setosa"] < 2 < lengths["versicolor"] < 5 < lengths["virginica"]
