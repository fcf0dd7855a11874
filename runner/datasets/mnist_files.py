"""The files in which MNIST and data of its form are published, under their common names."""

import gzip
import io
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.datasets.files import read, refuse_beyond_memory
from runner.datasets.npz import load

# What a name begins with, its part, and what the file holds: train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte,
# emnist-letters-test-images-idx3-ubyte.gz, k49-train-imgs.npz, fashion-mnist_train.csv.
NAME = re.compile(
    r"(?P<set>.*?)[-_]?(?P<part>train|t10k|test)"
    r"(?:[-_](?P<kind>images|imgs|labels)(?:[-.]idx\d-ubyte|\.npz)|(?P<table>\.csv))(?:\.gz)?$"
)
ROLES = tuple((part, kind) for part in ("train", "test") for kind in ("images", "labels"))
PUBLISHED = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, plain or .gz"
DEEPEST = 3  # folders below the path, as in MNIST/raw and in archives whose files have folders of their own


class Published(NamedTuple):
    """The published images and labels."""

    name: str
    train: tuple[np.ndarray, np.ndarray]  #: images [N, 28, 28] and labels [N], as they are in the files
    test: tuple[np.ndarray, np.ndarray]
    names: dict[str, str]  #: the character of each label, if a file says so


def published(path: str) -> Published:
    """Reads the files of one data set in a folder, or one file that holds all.

    Raises:
        ValueError: files are missing, damaged or of several data sets.
    """
    folder, begin = Path(path).expanduser(), ""
    if not folder.exists():
        folder, begin = folder.parent, folder.name
    if folder.is_file():
        return _of_keras(folder)
    found = _sets(folder, begin)
    complete = {key: files for key, files in found.items() if _is_complete(files)}
    if not complete:
        if (whole := _whole(folder, begin)) is not None:
            return _of_keras(whole)
        files = max(found.values(), key=len, default={})
        missing = [f"the {kind} of {part}" for part, kind in ROLES if (part, kind) not in files]
        what = f"lacks {', '.join(missing)}" if files else "has no files of MNIST"
        raise ValueError(f"path: {path} {what}; put its files there: {PUBLISHED}")
    published_there = (str(folder), "")
    where, name = published_there if published_there in complete else next(iter(complete))
    if len(complete) > 1 and (where, name) != published_there:
        names = ", ".join(sorted(str(Path(*key)) for key in complete))
        raise ValueError(f"path: {path} has several data sets: {names}; name one of them as the path")
    files = complete[where, name]
    label = str(Path(where, name))
    if ("train", "table") in files:
        train, test = (_of_table(files[part, "table"]) for part in ("train", "test"))
    else:
        train, test = (
            (_array(files[part, "images"]), _array(files[part, "labels"])) for part in ("train", "test")
        )
    if name.lower().startswith("emnist"):
        train, test = ((images.swapaxes(1, -1), labels) for images, labels in (train, test))
    return Published(label, train, test, _mapping(Path(where), name))


def _whole(folder: Path, begin: str) -> Path | None:
    """Returns the one file of a folder that Keras stores, if there is one."""
    return next((file for file in sorted(folder.glob("*mnist.npz")) if file.name.startswith(begin)), None)


def _is_complete(files: dict) -> bool:
    return files.keys() >= set(ROLES) or files.keys() >= {("train", "table"), ("test", "table")}


def _sets(folder: Path, begin: str) -> dict[tuple[str, str], dict[tuple[str, str], Path]]:
    """Returns the files of each data set: its folder and the begin of its names -> part and kind -> file."""
    found = defaultdict(dict)
    for file in _files_below(folder, DEEPEST):
        match = NAME.match(file.name.lower())
        if match is None or not file.name.startswith(begin):
            continue
        # In some archives, each file lies in a folder with its own name.
        where = file.parent.parent if file.name.startswith(file.parent.name) else file.parent
        part = "train" if match["part"] == "train" else "test"
        kind = "table" if match["table"] else {"imgs": "images"}.get(match["kind"], match["kind"])
        found[str(where), file.name[: match.end("set")]].setdefault((part, kind), file)
    return found


def _files_below(folder: Path, depth: int) -> Iterator[Path]:
    """Yields the files of a folder, plain ones before compressed ones, and then those of the folders in it."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    yield from (path for path in paths if path.is_file())
    for path in paths if depth else ():
        if path.is_dir() and not path.name.startswith("."):
            yield from _files_below(path, depth - 1)


def _array(file: Path) -> np.ndarray:
    return next(iter(load(file, ["arr_0"]).values())) if file.suffix == ".npz" else _idx(file)


def _of_keras(file: Path) -> Published:
    arrays = load(file, ["x_train", "y_train", "x_test", "y_test"])
    train, test = ((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    return Published(str(file), train, test, {})


def _of_table(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads rows of a label and 784 values, with or without a header."""
    content = read(file)
    header = int(not content[:1].isdigit())
    try:
        rows = np.loadtxt(io.BytesIO(content or b"0"), np.int64, delimiter=",", skiprows=header, ndmin=2)
    except ValueError as error:
        raise ValueError(f"path: {file} is no table of whole numbers: {error}") from None
    if rows.shape[1] != 785 or rows[:, 1:].min() < 0 or rows[:, 1:].max() > 255:
        raise ValueError(
            f"path: {file} has rows of {rows.shape[1]} values; need a label and 784 from 0 to 255"
        )
    return rows[:, 1:].astype(np.uint8).reshape(-1, 28, 28), rows[:, 0]


def _mapping(folder: Path, name: str) -> dict[str, str]:
    """Returns the character of each label from the file that EMNIST has of them, if it is there."""
    file = folder / f"{name}-mapping.txt"
    if not file.is_file():
        return {}
    lines = [line.split() for line in read(file).decode(errors="replace").splitlines()]
    return {words[0]: chr(int(words[1])) for words in lines if len(words) > 1 and words[1].isdigit()}


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
