"""Datasets of Hugging Face in local files."""

import functools
import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from runner.core import Batch, Dataset
from runner.datasets.pipelines.examples import Foreign, epochs, library
from runner.datasets.pipelines.iterables import dataset_of as streams_of
from runner.datasets.rows import Part, dataset_of
from runner.datasets.splits import cut

MEASURED = 10_000  # training rows whose mean and standard deviation are used for those of all
KINDS = {".parquet": "parquet", ".arrow": "arrow"}


def hf(
    path: str,
    inputs: Sequence[str] | str = "x",
    target: str | None = "y",
    batch_size: int = 64,
    split_seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
) -> Dataset:
    """Reads rows of a dataset of Hugging Face by their number, from local Arrow or Parquet files.

    Args:
        path: a `.parquet` or `.arrow` file, a pattern for several, or a folder that `save_to_disk` wrote. One with the
            splits train, validation and test keeps them.
        inputs: the column that becomes x, or several columns of numbers.
        target: the column that becomes y, or None for data without targets. Whole numbers are classes.
        batch_size: rows per batch.
        split_seed: seed of the split into training, validation and test rows.
        validation: fraction of the rows for validation.
        test: fraction of the rows for testing.

    Raises:
        ValueError: the library is not installed, a file or a column is missing, or a value cannot be used.
    """
    loaded = _loaded(path, streaming=False)
    if isinstance(loaded, dict):
        missing = {"train", "validation", "test"} - loaded.keys()
        if missing:
            raise ValueError(f"path: {path} has no split {min(missing)}; it has {', '.join(loaded)}")
        parts = {name: (rows, np.arange(len(rows))) for name, rows in loaded.items()}
    else:
        numbers = cut(len(loaded), split_seed, test=test, validation=validation)
        parts = dict(zip(("test", "validation", "train"), ((loaded, rows) for rows in numbers), strict=True))
    train = parts["train"][0]
    _check(train.column_names, path, inputs, target)
    readers = {name: Part(_reader(rows, inputs, target), numbers) for name, (rows, numbers) in parts.items()}
    return dataset_of(readers, batch_size, MEASURED, _known(train, target))


def hf_streaming(
    path: str,
    inputs: Sequence[str] | str = "x",
    target: str | None = "y",
    batch_size: int = 64,
    validation: int = 1000,
    test: int = 1000,
    size: int | None = None,
    shuffle: int = 1000,
    seed: int = 0,
    classes: int | None = None,
) -> Dataset:
    """Reads a dataset of Hugging Face in the order of its files, shuffled within a buffer.

    A run resumes exactly, by reading again what came before in its epoch.

    Args:
        path: a `.parquet` or `.arrow` file, or a pattern for several.
        inputs: the column that becomes x, or several columns of numbers.
        target: the column that becomes y, or None for data without targets. Whole numbers are classes.
        batch_size: rows per batch.
        validation: number of rows for validation: the first ones.
        test: number of rows for testing: the next ones.
        size: number of the other rows, which are for training; None: epochs are not counted, and a resumed run reads
            all of them again.
        shuffle: rows of the buffer from which the next row is drawn.
        seed: seed of the order, which changes every epoch.
        classes: number of classes, or None for those that the file names or the first 1,024 rows have.

    Raises:
        ValueError: as for `dataset=hf`.
    """
    loaded = _loaded(path, streaming=True)
    _check(loaded.column_names or [], path, inputs, target)
    train = loaded.skip(validation + test).shuffle(seed=seed, buffer_size=shuffle)
    batches = functools.partial(_streamed, inputs, target, batch_size)
    held_out = (loaded.take(validation), loaded.skip(validation).take(test))
    streams = [epochs(functools.partial(batches, train, True), size and size // batch_size)]
    streams += [epochs(functools.partial(batches, rows, False), None) for rows in held_out]
    return streams_of(streams, (size, validation, test), **{"classes": classes, **_known(loaded, target)})


def _streamed(
    inputs: Sequence[str] | str, target: str | None, batch_size: int, rows: Foreign, drops: bool, epoch: int
) -> Iterator[Batch]:
    formatted = rows.with_format("numpy")  # which begins with epoch 0
    formatted.set_epoch(epoch)
    for columns in formatted.iter(batch_size, drop_last_batch=drops):
        yield _arrays(columns, inputs, target)


def _loaded(path: str, streaming: bool) -> Foreign:
    module, folder = library("datasets", "hf"), Path(path).expanduser()
    if folder.is_dir() and not streaming:
        try:
            return module.load_from_disk(str(folder))
        except FileNotFoundError as error:
            raise ValueError(f"path: {error}") from None
    files = sorted(glob.glob(str(folder)))
    kinds = {KINDS.get(Path(file).suffix) for file in files}
    if len(kinds) != 1 or None in kinds:
        found = f"{len(files)} files" if files else "nothing"
        raise ValueError(f"path: {path} leads to {found}; need .parquet or .arrow files, or a saved folder")
    return module.load_dataset(kinds.pop(), data_files=files, split="train", streaming=streaming)


def _check(columns: Sequence[str], path: str, inputs: Sequence[str] | str, target: str | None) -> None:
    wanted = {
        "inputs": [inputs] if isinstance(inputs, str) else inputs,
        "target": [] if target is None else [target],
    }
    for setting, names in wanted.items():
        for name in names:
            if name not in columns:
                raise ValueError(f"{setting}: {path} has no column {name!r}; it has {', '.join(columns)}")


def _known(rows: Foreign, target: str | None) -> dict:
    feature = None if target is None or rows.features is None else rows.features.get(target)
    names = getattr(feature, "names", None)
    return {"classes": len(names), "labels": names} if names else {}


def _reader(rows: Foreign, inputs: Sequence[str] | str, target: str | None) -> Callable[[np.ndarray], Batch]:
    formatted = rows.with_format("numpy")
    return lambda numbers: _arrays(formatted[numbers.tolist()], inputs, target)


def _arrays(columns: Foreign, inputs: Sequence[str] | str, target: str | None) -> Batch:
    if isinstance(inputs, str):
        x = np.asarray(columns[inputs])
    else:  # each is converted on its own, because a common dtype could be a wider one
        x = np.stack([np.asarray(columns[name], np.float32) for name in inputs], axis=-1)
    x = x[:, None] if x.ndim == 1 else x
    return {"x": x} if target is None else {"x": x, "y": np.asarray(columns[target])}
