"""MNIST from the four files in which it is published."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import check_labels
from runner.datasets.files import read
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
    content = read(file)
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"path: {file} is damaged: {error}") from None
    axes = {b"\0\0\x08\x01": 1, b"\0\0\x08\x03": 3}.get(content[:4])
    if axes is None:
        raise ValueError(
            f"path: {file} begins with {content[:4].hex() or 'nothing'}; an idx file of bytes does not"
        )
    start = 4 + 4 * axes
    shape = np.frombuffer(content[4:start].ljust(4 * axes, b"\0"), ">i4")
    if len(content) - start != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"path: {file} holds {len(content) - start} values; its header promises {shape.tolist()}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
