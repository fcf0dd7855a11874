"""Arrays in files that may be larger than memory."""

from collections.abc import Mapping

import numpy as np

from runner.core import Dataset
from runner.datasets.file_rows import FileRows
from runner.datasets.npz import check_classes
from runner.datasets.rows import Part, dataset_of
from runner.datasets.splits import cut

MEASURED = 10_000  # training rows whose mean and standard deviation are used for those of all


def memmap(
    path: str,
    target_path: str | None = None,
    batch_size: int = 64,
    split_seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
) -> Dataset:
    """Reads rows of an array [N, ...] in a file when they are needed, as float32; the file may be larger than memory.

    Targets that are whole numbers [N] are classes, numbered from 0; floats [N, ...] are targets of a regression.

    Args:
        path: the file, as `np.save` writes it.
        target_path: the file of the array that becomes `y`, or None for data without targets.
        batch_size: rows per batch.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.

    Raises:
        ValueError: a file is missing, damaged or no array of numbers, the arrays differ in length, or a setting is out
            of its range.
    """
    files = {"x": FileRows(path, "path")}
    if target_path is not None:
        files["y"] = FileRows(target_path, "target_path")
    known = _classes(files)

    def read(numbers: np.ndarray) -> dict[str, np.ndarray]:
        return {name: file.read(numbers) for name, file in files.items()}

    parts = cut(len(files["x"]), split_seed, test=test, validation=validation)
    numbers = [rows.astype(np.uint32) for rows in parts]  # which takes half the memory
    named = {
        name: Part(read, rows) for name, rows in zip(("test", "validation", "train"), numbers, strict=True)
    }
    return dataset_of(named, batch_size, MEASURED, known)


def _classes(files: Mapping[str, FileRows]) -> dict[str, int]:
    """Checks that the arrays x and y fit each other, and returns the number of classes, if y are labels."""
    x, y = files["x"], files.get("y")
    if len(x.shape) < 2:
        raise ValueError(f"{x.name} has shape {x.shape}; need rows of values [N, ...]")
    if y is None:
        return {}
    if len(y) != len(x):
        raise ValueError(f"{y.name} has {len(y)} rows, and {x.name} has {len(x)}")
    if y.dtype.kind not in "biu":
        return {}
    labels = y.read(np.arange(len(y))) if len(y.shape) == 1 else np.broadcast_to(np.int8(0), y.shape)
    check_classes("target_path", labels)
    return {"classes": int(labels.max()) + 1}
