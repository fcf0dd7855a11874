import io
import pickle
import zipfile

import numpy as np
import pytest

from runner.datasets import npz

X = np.arange(60.0).reshape(20, 3)
Y = np.arange(20) % 3


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "my.npz", **arrays)
        return str(tmp_path / "my.npz")

    return save


def features(data):
    return {name: (*feature,) for name, feature in data.spec.features.items()}


def test_whole_numbers_are_classes(save):
    data = npz(save(x=X, y=Y.astype(np.uint8)), batch_size=4)
    assert features(data) == {"x": ((3,), "float32"), "y": ((), "int32")}
    assert data.spec.classes == 3
    assert sum(source.size for source in data) == 20


def test_floats_are_numbers_to_regress_on(save):
    data = npz(save(x=X, y=X[:, :2]), batch_size=4)
    assert features(data) == {"x": ((3,), "float32"), "y": ((2,), "float32")}
    assert data.spec.classes is None


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int64, bool])
def test_inputs_are_read_as_float32(save, dtype):
    images = np.arange(20 * 16).reshape(20, 4, 4, 1).astype(dtype)
    data = npz(save(images=images), inputs="images", target=None, batch_size=4)
    assert features(data) == {"x": ((4, 4, 1), "float32")}
    rows = np.concatenate([source.arrays["x"] for source in data])
    assert sorted(rows.ravel()) == sorted(images.astype(np.float32).ravel())


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X, "b": Y}, "path: .*my.npz has no array 'x'; it holds a, b"),
        ({"x": X}, "path: .*my.npz has no array 'y'; it holds x"),
        ({"x": np.array([None] * 20), "y": Y}, "path: .*my.npz holds Python objects; only arrays"),
        ({"x": X.astype(str), "y": Y}, "x: dtype <U32; need floats or whole numbers"),
        ({"x": X, "y": Y.astype(str)}, "y: dtype <U21; need floats or whole numbers"),
        (
            {"x": with_value(X, (3, 1), np.nan), "y": Y},
            r"x: row 3, column 1 is NaN \(1 of 60 values not finite",
        ),
        ({"x": X[:, 0], "y": Y}, r"x: shape \(20,\); need rows of values"),
        ({"x": X[:, :0], "y": Y}, r"x: shape \(20, 0\); need rows of values"),
        ({"x": np.float32(1), "y": Y}, "x: a single number; need rows"),
        ({"x": X, "y": Y[:19]}, "y: 19 rows; x has 20"),
        ({"x": X, "y": Y[:1]}, "y: 1 rows; x has 20"),
        ({"x": X, "y": Y[:, None]}, r"y: whole numbers of shape \(20, 1\); classes need \(20,\)"),
        ({"x": X, "y": with_value(Y, 5, -1)}, "y: row 5 is -1; classes are numbered from 0"),
        ({"x": X, "y": with_value(Y, 5, 2**30)}, "y: row 5 is 1073741824; classes are 0..19"),
        ({"x": X, "y": with_value(Y, 5, 2**40)}, "y: row 5 is 1099511627776 .* too large in int32"),
        ({"x": X, "y": with_value(X, 2, np.inf)}, "y: row 2, column 0 is inf"),
        ({"x": X[:10], "y": Y[:10]}, "batch_size: 8 rows a batch, of 6 rows"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(save, arrays, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        npz(save(**arrays), batch_size=8)


def test_an_error_gives_the_name_of_the_array_in_the_file(save):
    for labels, message in ((Y[:1], "labels: 1 rows; images has 20"), (Y - 1, "labels: row 0 is -1")):
        with pytest.raises(ValueError, match=f"^{message}"):
            npz(save(images=X, labels=labels), "images", "labels")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "path: .* is not a whole .npz file"),
        (lambda content: b"", "path: .* is not a whole .npz file"),
        (lambda content: pickle.dumps(X), "path: .* is not a whole .npz file"),
        (lambda content: content.replace(X.tobytes(), X[::-1].tobytes()), "path: .* is damaged: Bad CRC-32"),
    ],
    ids=["truncated", "empty", "pickle", "flipped"],
)
def test_a_damaged_file_is_refused(save, damage, message):
    path = save(x=X, y=Y)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(damage(content))
    with pytest.raises(ValueError, match=f"^{message}"):
        npz(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^path: there is no file .*none.npz"):
        npz(str(tmp_path / "none.npz"))


def test_a_file_that_unpacks_to_more_than_all_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((2000, 100)), y=np.zeros(2000))
    monkeypatch.setattr("runner.datasets.files.total_memory", lambda: 1e6)
    with pytest.raises(ValueError, match=r"bomb.npz unpacks to 0.00162 GB; there are 0.001 GB of memory"):
        npz(str(tmp_path / "bomb.npz"))


def test_an_array_that_says_it_is_larger_than_memory_is_refused(tmp_path):
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
    np.lib.format.write_array_header_1_0(header, description)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(99))
    with pytest.raises(ValueError, match=r"bomb.npz holds more than fits into memory"):
        npz(str(tmp_path / "bomb.npz"), target=None)


@pytest.mark.parametrize("labels", [(1, 2, 3), (0, 5, 59), (-1, 7, 2**30)])
def test_the_numbers_of_the_classes_are_those_in_the_file(save, caplog, labels):
    y = np.array(labels)[Y]
    with caplog.at_level("WARNING", logger="runner"):
        data = npz(save(x=X, y=y), batch_size=4, relabel=True)
    assert data.spec.classes == 3
    assert data.spec.labels == tuple(map(str, labels))
    for source in data:
        rows = np.asarray(source.arrays["x"])[:, 0].astype(int) // 3
        np.testing.assert_array_equal(source.arrays["y"], Y[rows])
    assert f"the 3 classes are numbered {', '.join(map(str, labels))}; they become 0 to 2" in caplog.text


def test_numbers_that_are_no_classes_are_refused(save):
    with pytest.raises(
        ValueError, match=r"^y: 100 different whole numbers in 100 rows are no classes; store targets"
    ):
        npz(save(x=np.zeros((100, 2)), y=np.arange(100) * 9), relabel=True)
    with pytest.raises(ValueError, match=r"^y: every row is 7; need two classes"):
        npz(save(x=X, y=np.full(20, 7)), relabel=True)


def test_classes_of_saved_runs_are_all_numbers_up_to_the_largest(save):
    assert npz(save(x=X, y=Y * 5), batch_size=4).spec.classes == 11
