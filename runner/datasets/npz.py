"""A user's own arrays, as `np.savez` writes them."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import as_floats, check_labels, narrow, numbered
from runner.datasets.files import TooLarge, refuse_beyond_memory
from runner.datasets.inputs import Inputs, inputs_of
from runner.datasets.splits import split


def npz(
    path: str,
    inputs: str = "x",
    target: str | None = "y",
    batch_size: int | None = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    relabel: bool = False,
) -> Dataset:
    """Reads a file's array of inputs [N, ...], as float32, and its targets.

    Targets that are whole numbers [N] are classes; floats [N, ...] are targets of a regression.

    Args:
        path: the file.
        inputs: the name of the array that becomes `x`.
        target: the name of the array that becomes `y`, or None for data without targets.
        batch_size: rows per batch, or None for the whole training set at each step.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.
        relabel: whether 1, 2, 3 are three classes, and not four.

    Raises:
        ValueError: the file is missing, damaged or holds Python objects, an array is missing or of the wrong
            shape or dtype, or a value is not finite.
    """
    arrays = load(path, [inputs] if target is None else [inputs, target])
    x = _inputs(inputs, arrays[inputs])
    settings = (batch_size, split_seed, validation, test)
    if target is None:
        return split({"x": x}, *settings)
    y = narrow(target, arrays[target])
    if len(y) != len(x):
        raise ValueError(f"{target}: {len(y)} rows; {inputs} has {len(x)}")
    if y.dtype.kind not in "biu":
        return split({"x": x, "y": as_floats(target, arrays[target])}, *settings)
    y, known = _classes(target, y, relabel)
    return split({"x": x, "y": y}, *settings, **known)


def _classes(target: str, y: np.ndarray, relabel: bool) -> tuple[np.ndarray, dict]:
    """Returns classes y [N], and what is known of them."""
    known = {}
    if relabel and y.ndim == 1:
        y, known["labels"] = numbered(target, y)
    check_classes(target, y)
    return y.astype(np.int32), known | {"classes": int(y.max()) + 1}


def check_classes(target: str, y: np.ndarray) -> None:
    """Checks that whole numbers are labels [N] of at least two classes.

    Raises:
        ValueError: they are not.
    """
    if y.ndim > 1:
        raise ValueError(
            f"{target}: whole numbers of shape {y.shape}; classes need ({len(y)},), other targets floats"
        )
    check_labels(target, y, len(y))  # otherwise one absurd label would build a net with as many outputs
    if not y.any():
        raise ValueError(
            f"{target}: every row is 0; need two classes, or target=null for data without targets"
        )


def read_inputs(path: str | Path, inputs: str = "x") -> Inputs:
    """Reads the rows x [N, ...] of a file's array of inputs, without those that have values that are not finite.

    Raises:
        ValueError: as for `npz`.
    """
    found = load(path, [inputs])[inputs]
    if found.ndim < 2 or not found.size or found.dtype.kind != "f":
        return inputs_of(_inputs(inputs, found))
    with np.errstate(over="ignore"):
        finite = np.isfinite(found.astype(np.float32)).reshape(len(found), -1).all(1)
    problems = tuple(
        f"{inputs}: row {row} of {path} has a value that is not finite" for row in np.flatnonzero(~finite)
    )
    x = _inputs(inputs, found[finite]) if finite.any() else found.astype(np.float32)[:0]
    return Inputs(x, np.flatnonzero(finite), (), problems, len(found))


def _inputs(name: str, rows: np.ndarray) -> np.ndarray:
    x = as_floats(name, rows)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: shape {x.shape}; need rows of values [N, ...]")
    return x


def load(path: str | Path, names: list[str]) -> dict[str, np.ndarray]:
    """Returns the named arrays of a file.

    Raises:
        ValueError: the file is missing, damaged or holds Python objects, or an array is missing.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"path: there is no file {path}")
    if not zipfile.is_zipfile(file):
        raise ValueError(f"path: {path} is not a whole .npz file, as np.savez writes it")
    try:
        with np.load(file, allow_pickle=False) as archive:
            known = archive.files
            refuse_beyond_memory(path, sum(entry.file_size for entry in archive.zip.infolist()))
            arrays = {name: archive[name] for name in names if name in known}
    except TooLarge:
        raise
    except MemoryError as error:
        raise ValueError(f"path: {path} holds more than fits into memory: {error}") from None
    except (ValueError, OverflowError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise ValueError(f"path: {path} holds Python objects; only arrays of numbers are read") from None
        raise ValueError(f"path: {path} is damaged: {error}") from None
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"path: {path} has no array {missing[0]!r}; it holds {', '.join(known) or 'none'}")
    return arrays
