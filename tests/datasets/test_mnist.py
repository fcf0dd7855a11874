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
        ValueError, match=r"^path: .* has no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-labels"
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
        ("train-images-idx3-ubyte", idx(IMAGES)[:10], r"path: .* has shape \(20, 0, 0\)"),
        (
            "train-images-idx3-ubyte",
            gzip.compress(idx(IMAGES))[:-20],
            "path: .* is damaged: Compressed file ended",
        ),
        (
            "train-images-idx3-ubyte",
            idx(IMAGES[:, :20]),
            r"path: .* has shape \(20, 20, 28\) and .* \(20,\); need",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(LABELS[:-1]),
            r"path: .* has shape \(20, 28, 28\) and .* \(19,\); need",
        ),
        (
            "train-labels-idx1-ubyte",
            idx(LABELS + 1),
            "path: train-labels-idx1-ubyte: row 9 is 10; classes are 0..9",
        ),
        ("t10k-labels-idx1-ubyte", idx(IMAGES), "path: .* has shape"),
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
