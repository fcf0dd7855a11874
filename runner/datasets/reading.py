"""Reads the rows of which a run predicts something: from tables, arrays, images, texts, or what code passes."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from runner.core import Spec
from runner.datasets import images, tables
from runner.datasets.inputs import Inputs, inputs_of
from runner.datasets.lines import continued, lines_of
from runner.datasets.npz import read_inputs as read_arrays

AT_ONCE = 250  # images in memory


def read_inputs(source: object, spec: Spec, dataset: Mapping[str, object]) -> Iterator[Inputs]:
    """Yields the rows of a source in blocks.

    Args:
        source: the path of a table, an npz, an image, a folder of images, or a text, each line of which is a row; or a
            list of paths of images, or of texts for data with a vocabulary; or a data frame; or rows of numbers.
        spec: the spec of the data with which the net was trained.
        dataset: the settings of those data.

    Raises:
        ValueError: the source is nothing of which such a net predicts something, or as for the readers.
    """
    if isinstance(source, str | Path):
        yield from _of_path(Path(source).expanduser(), spec, dataset)
    elif hasattr(source, "columns"):
        yield tables.frame_rows(source, spec)
    elif isinstance(source, Sequence) and source and all(isinstance(item, str | Path) for item in source):
        if spec.vocabulary:
            yield continued([str(item) for item in source], spec)
        else:
            yield from _of_images([Path(item).expanduser() for item in source], dataset)
    else:
        yield inputs_of(_numbers(source))


def _of_path(path: Path, spec: Spec, dataset: Mapping[str, object]) -> Iterator[Inputs]:
    if not path.exists():
        raise ValueError(f"path: there is no file or folder {path}")
    if path.suffix.lower() == ".npz":
        yield read_arrays(path, str(dataset.get("inputs", "x")))
    elif spec.vocabulary:
        yield continued(lines_of(path), spec, str(path))
    elif path.is_dir() or path.suffix.lower() in images.ENDINGS:
        folder = path if path.is_dir() else path.parent
        for block in _of_images(_images_at(path), dataset):
            yield block._replace(names=tuple(str(Path(name).relative_to(folder)) for name in block.names))
    else:
        yield tables.read_rows(path, spec)


def _of_images(files: Sequence[Path], dataset: Mapping[str, object]) -> Iterator[Inputs]:
    if not {"size", "channels"} <= set(dataset):
        raise ValueError(
            f"path: {files[0]} is an image, and this run was not trained with files of images; write rows x as it was"
            " trained with into an .npz"
        )
    for start in range(0, len(files), AT_ONCE):
        yield _read_images(files[start : start + AT_ONCE], dataset)


def _images_at(path: Path) -> list[Path]:
    """Returns the images below a folder in the order of their names, or the path itself if it is a file.

    Raises:
        ValueError: the folder has no images.
    """
    found = [path] if path.is_file() else sorted(file for file in path.rglob("*") if images.is_image(file))
    if not found:
        raise ValueError(f"path: {path} has no images ({', '.join(sorted(images.ENDINGS))})")
    return found


def _read_images(files: Sequence[Path], dataset: Mapping) -> Inputs:
    """Reads images x [N, size, size, channels] in [0, 1], as in training, by the settings of a dataset of images."""

    def read(file: Path) -> np.ndarray | Exception:
        try:
            return images.load(file, dataset["size"], dataset["channels"])
        except MemoryError:  # not the fault of the file
            raise
        except Exception as error:  # Pillow raises errors of many types for broken files
            return error

    with ThreadPoolExecutor(dataset["workers"]) as pool:
        found = list(pool.map(read, files))
    problems = [
        f"{file}: {error}" for file, error in zip(files, found, strict=True) if isinstance(error, Exception)
    ]
    rows = [row for row, image in enumerate(found) if not isinstance(image, Exception)]
    x = np.zeros((len(rows), dataset["size"], dataset["size"], dataset["channels"]), np.float32)
    for number, row in enumerate(rows):
        x[number] = np.asarray(found[row], np.float32) / 255
    return Inputs(x, np.array(rows, int), tuple(map(str, files)), tuple(problems), len(files))


def _numbers(source: object) -> np.ndarray:
    try:
        x = np.asarray(source)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"x: {error}") from None
    if x.dtype.kind not in "biuf" or not x.ndim:
        raise ValueError(
            f"x: dtype {x.dtype} of shape {x.shape}; need rows of numbers, a data frame or a path"
        )
    return x
