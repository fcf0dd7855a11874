import gzip
import struct

import numpy as np
import pytest

from runner.datasets import mnist

generator = np.random.default_rng(0)
IMAGES = generator.integers(0, 256, (20, 28, 28), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10
FILES = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": IMAGES[::-1][:6],
    "t10k-labels-idx1-ubyte": LABELS[::-1][:6],
}


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder, compress=bytes, suffix=""):
    for name, array in FILES.items():
        (folder / (name + suffix)).write_bytes(compress(idx(array)))
    return str(folder)


@pytest.mark.parametrize(("compress", "suffix"), [(bytes, ""), (gzip.compress, ".gz"), (gzip.compress, "")])
def test_the_published_files_are_read(tmp_path, compress, suffix):
    data = mnist(write(tmp_path, compress, suffix), batch_size=4)
    assert [source.size for source in data] == [18, 2, 6]
    assert data.spec.shape("x") == (28, 28, 1)
    assert (data.spec.classes, data.spec.labels[-1]) == (10, "9")
    np.testing.assert_allclose(data.test.arrays["x"][..., 0], IMAGES[::-1][:6] / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.test.arrays["y"], LABELS[::-1][:6])
    seen = np.concatenate([source.arrays["x"] for source in data[:2]])[..., 0]
    order = [np.abs(IMAGES / 255 - image).max((1, 2)).argmin() for image in seen]
    assert sorted(order) == list(range(20))
    np.testing.assert_array_equal(np.concatenate([source.arrays["y"] for source in data[:2]]), LABELS[order])


def test_missing_files_are_named(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte.gz").touch()
    with pytest.raises(
        ValueError, match=r"^path: .* lacks the images of train, the labels of train, the labels of test; put"
    ):
        mnist(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"", "path: .* begins with nothing"),
        (
            "train-images-idx3-ubyte",
            b"<html>",
            "path: .* begins with 3c68746d; an idx file of bytes does not",
        ),
        (
            "train-images-idx3-ubyte",
            idx(IMAGES)[:-1],
            r"path: .* holds 15679 values; .* promises \[20, 28, 28\]",
        ),
        ("train-images-idx3-ubyte", idx(IMAGES)[:10], r"path: .* has images of shape \(20, 0, 0\)"),
        (
            "train-images-idx3-ubyte",
            gzip.compress(idx(IMAGES))[:-20],
            "path: .* is damaged: Compressed file ended",
        ),
        (
            "train-images-idx3-ubyte",
            idx(IMAGES[:, :20]),
            r"path: .* shape \(20, 20, 28\) and .* \(20,\); need",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(LABELS[:-1]),
            r"path: .* shape \(20, 28, 28\) and .* \(19,\); need",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(LABELS + 1),
            "path: .*, train labels: row 9 is 10; classes are 0..9",
        ),
        ("t10k-labels-idx1-ubyte", idx(IMAGES), "path: .* has images of shape"),
        (
            "t10k-labels-idx1-ubyte",
            gzip.compress(idx(LABELS) + bytes(10**6)),
            r"path: .* holds more values; its header promises \[20\]",
        ),
        (
            "t10k-labels-idx1-ubyte",
            gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12),
            "path: .* unpacks to 7.92e[+]19 GB; there are",
        ),
    ],
    ids=[  # workers have to agree about them, which compressed bytes, holding a time, do not
        "an empty file",
        "a page",
        "a missing byte",
        "a cut header",
        "a cut archive",
        "images that are too low",
        "a missing label",
        "a class that is too large",
        "images instead of labels",
        "more than its header says",
        "more than all memory",
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, message):
    folder = write(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{message}"):
        mnist(folder, batch_size=4)


def names_of(pattern):
    """Returns the names of the four files, from one with the places of the part and the kind."""
    parts = {"train-": "train", "t10k-": "t10k"}
    return [
        pattern.format(
            part=parts[name[: 6 if "train" in name else 5]], kind=name.split("-")[1], axes=array.ndim
        )
        for name, array in FILES.items()
    ]


@pytest.mark.parametrize(
    ("pattern", "compress"),
    [
        ("{part}-{kind}.idx{axes}-ubyte", bytes),
        ("{part}-{kind}-idx{axes}-ubyte/{part}-{kind}-idx{axes}-ubyte", bytes),
        ("FashionMNIST/raw/{part}-{kind}-idx{axes}-ubyte.gz", gzip.compress),
        ("archive/kmnist-{part}-{kind}-idx{axes}-ubyte", bytes),
    ],
)
def test_the_files_are_found_under_their_common_names(tmp_path, pattern, compress):
    for name, array in zip(names_of(pattern), FILES.values(), strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(compress(idx(array)))
    data = mnist(str(tmp_path), batch_size=4, classes=None)
    np.testing.assert_allclose(data.test.arrays["x"][..., 0], IMAGES[::-1][:6] / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.test.arrays["y"], LABELS[::-1][:6])
    assert data.spec.labels == tuple("0123456789")


def test_images_of_emnist_are_turned_and_its_letters_are_the_classes(tmp_path):
    labels = {"train": np.arange(20, dtype=np.uint8) % 3 + 1, "test": np.array([3, 1, 2, 3, 1, 2], np.uint8)}
    for part, y in labels.items():
        images = IMAGES[: len(y)].swapaxes(1, 2)
        (tmp_path / f"emnist-letters-{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(y)))
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    data = mnist(str(tmp_path / "emnist-letters"), batch_size=4, classes=None)
    np.testing.assert_allclose(data.test.arrays["x"][..., 0], IMAGES[:6] / 255, rtol=1e-6)
    np.testing.assert_array_equal(data.test.arrays["y"], labels["test"] - 1)
    assert data.spec.labels == ("A", "B", "C")


def test_of_several_data_sets_in_a_folder_one_must_be_named(tmp_path):
    for prefix in ("emnist-digits", "emnist-mnist"):
        for part in ("train", "test"):
            (tmp_path / f"{prefix}-{part}-images-idx3-ubyte").write_bytes(idx(IMAGES))
            (tmp_path / f"{prefix}-{part}-labels-idx1-ubyte").write_bytes(idx(LABELS))
    with pytest.raises(
        ValueError, match=r"^path: .* has several data sets: .*emnist-digits, .*emnist-mnist; name one"
    ):
        mnist(str(tmp_path))
    assert mnist(str(tmp_path / "emnist-mnist"), batch_size=4).test.size == 20


def test_tables_and_the_files_of_keras_and_kmnist_are_read(tmp_path):
    (tmp_path / "keras").mkdir()
    np.savez(
        tmp_path / "keras" / "mnist.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:6], y_test=LABELS[:6]
    )
    for part, rows in (("train", 20), ("test", 6)):
        (tmp_path / "kmnist").mkdir(exist_ok=True)
        np.savez(tmp_path / "kmnist" / f"kmnist-{part}-imgs.npz", IMAGES[:rows])
        np.savez(tmp_path / "kmnist" / f"kmnist-{part}-labels.npz", LABELS[:rows])
        (tmp_path / "csv").mkdir(exist_ok=True)
        table = np.column_stack([LABELS[:rows], IMAGES[:rows].reshape(rows, -1)])
        header = ",".join(["label", *(f"pixel{number}" for number in range(784))])
        np.savetxt(tmp_path / "csv" / f"mnist_{part}.csv", table, "%d", ",", header=header, comments="")
    for folder in ("keras", "keras/mnist.npz", "kmnist", "csv"):
        data = mnist(str(tmp_path / folder), batch_size=4)
        np.testing.assert_allclose(data.test.arrays["x"][..., 0], IMAGES[:6] / 255, rtol=1e-6)
        np.testing.assert_array_equal(data.test.arrays["y"], LABELS[:6])


def test_a_table_that_has_no_labels_is_named(tmp_path):
    for part in ("train", "test"):
        np.savetxt(tmp_path / f"{part}.csv", IMAGES.reshape(20, -1), "%d", ",")
    with pytest.raises(ValueError, match=r"^path: .*train.csv has rows of 784 values; need a label and 784"):
        mnist(str(tmp_path))


def test_the_number_of_classes_is_that_of_the_labels(tmp_path):
    folder = write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS % 3 * 2))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS[:6] % 3 * 2))
    data = mnist(folder, batch_size=4, classes=None)
    assert data.spec.labels == ("0", "2", "4")
    np.testing.assert_array_equal(data.test.arrays["y"], LABELS[:6] % 3)
