"""MNIST, and the data that are published in its form."""

from collections.abc import Sequence

import numpy as np

from runner.core import Dataset
from runner.core.bounds import at_least, check, optional
from runner.datasets.checks import check_labels, numbered
from runner.datasets.mnist_files import Published, published
from runner.datasets.splits import assemble, cut


def mnist(
    path: str,
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.1,
    classes: int | None = 10,
) -> Dataset:
    """Reads MNIST, or data in its form (Fashion-MNIST, KMNIST, EMNIST): x [N, 28, 28, 1] in [0, 1], and classes.

    The published test images are the test data. The files may have any of the common names, be compressed by gzip or
    not, and lie in folders below the path. Tables such as `mnist_train.csv` and `mnist_test.csv`, and the npz of Keras
    and KMNIST, are read, too. The images of EMNIST, which are published with rows and columns exchanged, are turned.

    Args:
        path: the folder of the files, or a file with all of them. Where a folder holds several data sets, it ends with
            what the names of one of them begin with, such as `gzip/emnist-letters`. Nothing is downloaded.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split of the published training images into training and validation rows.
        validation: fraction of the published training images for validation.
        classes: the number of classes, numbered from 0; or None for those that the labels of the files name.

    Raises:
        ValueError: a file is missing, damaged or not in this form.

    Source: LeCun, Bottou, Bengio and Haffner 1998.
    """
    check("classes", classes, optional(at_least(2)))
    found = published(path)
    x, y, known = _checked(found, classes)
    sizes = len(found.train[0])
    validation_rows, train_rows = cut(sizes, split_seed, validation=validation)
    train, held_out = ({"x": x[0][rows], "y": y[0][rows]} for rows in (train_rows, validation_rows))
    return assemble(train, held_out, {"x": x[1], "y": y[1]}, batch_size, **known)


def _checked(
    found: Published, classes: int | None
) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray], dict]:
    """Returns images and labels of the two parts, and what is known of the classes."""
    for images, labels in (found.train, found.test):
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or not len(images):
            shapes = f"{found.name} has images of shape {images.shape} and labels of shape {labels.shape}"
            raise ValueError(f"path: {shapes}; need (N, 28, 28) and (N,)")
    x = [images[..., None] / np.float32(255) for images, _ in (found.train, found.test)]
    labels = [labels for _, labels in (found.train, found.test)]
    if classes is not None:
        for part, numbers in zip(("train", "test"), labels, strict=True):
            check_labels(f"path: {found.name}, {part} labels", numbers, classes)
        y = [numbers.astype(np.int32) for numbers in labels]
        return x, y, {"classes": classes, "labels": tuple(map(str, range(classes)))}
    numbers, names = numbered(f"path: {found.name}", np.concatenate(labels))
    names = tuple(found.names.get(name, name) for name in names)
    return x, np.split(numbers, [len(labels[0])]), {"classes": len(names), "labels": names}
