"""Reads the rows of which a run predicts something: from tables, arrays, images, texts, or what code passes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from runner.core import Spec
from runner.datasets import images, tables
from runner.datasets.inputs import Inputs, inputs_of
from runner.datasets.lines import continued, lines_of
from runner.datasets.npz import read_inputs as read_arrays


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
            yield from _of_images([Path(item).expanduser() for item in source], spec, dataset)
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
        for block in _of_images(_images_at(path), spec, dataset):
            yield block._replace(names=tuple(str(Path(name).relative_to(folder)) for name in block.names))
    else:
        yield tables.read_rows(path, spec)


def _of_images(files: Sequence[Path], spec: Spec, dataset: Mapping) -> Iterator[Inputs]:
    if not {"size", "channels"} <= set(dataset):
        raise ValueError(
            f"path: {files[0]} is an image, and this run was not trained with files of images; write rows x as it was"
            " trained with into an .npz"
        )
    yield from images.read_inputs(files, spec, dataset)


def _images_at(path: Path) -> list[Path]:
    """Returns the images below a folder in the order of their names, or the path itself if it is a file.

    Raises:
        ValueError: the folder has no images.
    """
    found = [path] if path.is_file() else images.images_below(path)
    if not found:
        raise ValueError(f"path: {path} has no images ({', '.join(sorted(images.ENDINGS))})")
    return found


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
