"""Datasets of Grain."""

import json
from collections.abc import Callable, Iterator, Mapping

from runner.core import Batch, Dataset
from runner.datasets.pipelines.examples import Foreign, as_batch, library
from runner.datasets.pipelines.iterables import SPLITS, Batches, dataset_of


def grain(
    make: Callable,
    settings: Mapping[str, object] | None = None,
    batch_size: int | None = None,
    size: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    classes: int | None = None,
    threads: int = 16,
) -> Dataset:
    """Takes batches from the datasets of Grain that a function returns: `make(split, **settings)`.

    They are a `MapDataset`, an `IterDataset` or a `DataLoader`. A run resumes exactly: a `MapDataset` at the next
    batch, the others from the state of their iterator. Examples are mappings, or pairs of x and y.

    Args:
        make: the function, such as `package.module.function`.
        settings: further arguments of the function.
        batch_size: examples per batch, or None if the function has made batches.
        size: training rows in one pass, or None. Only a `MapDataset` knows its length.
        validation: rows in one pass over the validation data, likewise.
        test: rows in one pass over the test data, likewise.
        classes: number of classes, or None for those of the first 1,024 rows.
        threads: number of threads that read a `MapDataset`.

    Raises:
        ValueError: Grain is not installed, or a `DataLoader` has worker processes.
    """
    module, sizes = library("grain", "grain"), [size, validation, test]
    parts: list[Batches] = []
    for number, split in enumerate(SPLITS):
        made = make(split, **(settings or {}))
        if batch_size is not None and not isinstance(made, module.DataLoader):
            made = made.batch(batch_size, drop_remainder=split == "train")
        if isinstance(made, module.MapDataset):
            sizes[number] = sizes[number] or _rows(made)
            parts.append(_from_any_batch(module, made, threads))
        else:
            parts.append(_Stateful(made))
    return dataset_of(parts, sizes, classes=classes)


def _rows(dataset: Foreign) -> int | None:
    """Returns the number of rows in all batches, or None if they are repeated without end."""
    count = len(dataset)
    of = lambda number: len(as_batch(dataset[number])["x"])
    return None if count >= 2**62 else (count - 1) * of(0) + of(count - 1)


def _from_any_batch(module: Foreign, dataset: Foreign, threads: int) -> Callable[[int], Iterator[Batch]]:
    options = module.ReadOptions(num_threads=threads, prefetch_buffer_size=max(1, threads))
    repeated = dataset if len(dataset) >= 2**62 else dataset.repeat()
    return lambda start: map(as_batch, repeated[start:].to_iter_dataset(options))


class _Stateful:
    """An iterable whose iterators have a state that JSON can represent."""

    def __init__(self, batches: Foreign):
        options = getattr(batches, "_multiprocessing_options", None)
        if options is not None and options.num_workers:
            raise ValueError(
                "make: the DataLoader has worker processes, which JAX's threads forbid; say worker_count=0"
            )
        self._batches = batches

    def __iter__(self) -> "_Iterator":
        return _Iterator(iter(self._batches))


class _Iterator:
    def __init__(self, iterator: Foreign):
        self._iterator = iterator

    def __iter__(self) -> "_Iterator":
        return self

    def __next__(self) -> Batch:
        return as_batch(next(self._iterator))

    def get_state(self) -> object:
        """Returns the state of Grain's iterator, which for a `DataLoader` consists of bytes."""
        state = self._iterator.get_state()
        return _without_source(state) if isinstance(state, bytes) else state

    def set_state(self, state: Foreign) -> None:
        """Sets a state that `get_state` returned."""
        own = self._iterator.get_state()
        is_of_loader = isinstance(own, bytes)
        self._iterator.set_state(json.dumps({**json.loads(own), **state}).encode() if is_of_loader else state)


def _without_source(state: bytes) -> dict:
    """Returns a state without the text of the data source, which may contain an address in memory."""
    return {name: value for name, value in json.loads(state).items() if name != "data_source"}
