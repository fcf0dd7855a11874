"""MNIST from the four files in which it is published."""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import check_labels
from runner.datasets.files import read, refuse_beyond_memory
from runner.datasets.splits import assemble, cut

PARTS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
CLASSES = 10


def mnist(path: str, batch_size: int | None = 64, split_seed: int = 0, validation: float = 0.1) -> Dataset:
    """Reads MNIST, or data in its format (Fashion-MNIST, KMNIST): x [N, 28, 28, 1] in [0, 1], of 10 classes.

    The published test images are the test data.

    Args:
        path: the folder of the four files, as published: plain or compressed by gzip. Nothing is downloaded.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split of the published training images into training and validation rows.
        validation: fraction of the published training images for validation.

    Raises:
        ValueError: a file is missing, damaged or not in this format.

    Source: LeCun, Bottou, Bengio and Haffner 1998.
    """
    folder = Path(path).expanduser()
    missing = [name for names in PARTS.values() for name in names if not _find(folder, name).is_file()]
    if missing:
        raise ValueError(
            f"path: {path} has no {', '.join(missing)} (plain or .gz); put MNIST's four files there"
        )
    x, y = _part(folder, "train")
    validation_rows, train_rows = cut(len(x), split_seed, validation=validation)
    train, held_out = ({"x": x[rows], "y": y[rows]} for rows in (train_rows, validation_rows))
    test = dict(zip("xy", _part(folder, "test"), strict=True))
    return assemble(train, held_out, test, batch_size, classes=CLASSES, labels=map(str, range(CLASSES)))


def _find(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_file() else folder / f"{name}.gz"


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    (images_file, images), (labels_file, labels) = [(name, _idx(_find(folder, name))) for name in PARTS[part]]
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        shapes = f"{images_file} has shape {images.shape} and {labels_file} {labels.shape}"
        raise ValueError(f"path: {shapes}; need (N, 28, 28) and (N,)")
    check_labels(f"path: {labels_file}", labels, CLASSES)
    return images[..., None] / np.float32(255), labels.astype(np.int32)


def _idx(file: Path) -> np.ndarray:
    """Reads bytes in idx format: 0, 0, the type (8 is a byte), the number of axes, their sizes, the values."""
    content = io.BytesIO(read(file))
    source = gzip.GzipFile(fileobj=content) if content.getvalue()[:2] == b"\x1f\x8b" else content
    try:
        begin = source.read(4)
        axes = {b"\0\0\x08\x01": 1, b"\0\0\x08\x03": 3}.get(begin)
        if axes is None:
            raise ValueError(
                f"path: {file} begins with {begin.hex() or 'nothing'}; an idx file of bytes does not"
            )
        shape = np.frombuffer(source.read(4 * axes).ljust(4 * axes, b"\0"), ">u4").tolist()
        refuse_beyond_memory(file, math.prod(shape))
        values = source.read(math.prod(shape) + 1)  # no more, whatever it unpacks to
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"path: {file} is damaged: {error}") from None
    if len(values) != math.prod(shape):
        found = "more" if len(values) > math.prod(shape) else len(values)
        raise ValueError(f"path: {file} holds {found} values; its header promises {shape}")
    return np.frombuffer(values, np.uint8).reshape(shape)
