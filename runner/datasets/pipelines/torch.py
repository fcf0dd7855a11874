"""Loaders of PyTorch."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from runner.core import Batch, Dataset
from runner.datasets.pipelines.examples import Foreign, as_batch, library
from runner.datasets.pipelines.iterables import SPLITS, Batches, dataset_of

GENERATOR = threading.Lock()  # PyTorch's global generator, which the streams of all splits use


def torch(
    make: Callable,
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
    validation: int | None = None,
    test: int | None = None,
    classes: int | None = None,
) -> Dataset:
    """Takes batches from loaders of PyTorch that a function returns: `make(split, **settings)`.

    Batches are pairs of x and y, or mappings. The order of a loader of a map-style dataset is a function of the seed
    and the epoch, and random transformations are one of the number of the batch, so that a run resumes exactly. A
    loader of an `IterableDataset` starts again from its first batch when a run resumes.

    Args:
        make: the function, such as `package.module.function`; it returns a `DataLoader` without worker processes.
        settings: further arguments of the function.
        seed: of the order and of random transformations.
        validation: rows in one pass over the validation data, or None if the loader has a length.
        test: rows in one pass over the test data, likewise.
        classes: number of classes, or None for those of the first 1,024 rows.

    Raises:
        ValueError: PyTorch is not installed, a loader has worker processes, or as for `dataset=stream`.
    """
    module = library("torch", "torch")
    sizes, parts = [None, validation, test], []
    for number, split in enumerate(SPLITS):
        loader = _without_workers(module, make(split, **(settings or {})), split)
        if isinstance(loader.dataset, module.utils.data.IterableDataset) or loader.batch_sampler is None:
            parts.append(_Batches(loader))
        else:
            sizes[number] = sizes[number] or _rows(loader)
            parts.append(_from_any_batch(module, loader, seed))
    return dataset_of(parts, sizes, classes=classes)


def _without_workers(module: Foreign, loader: Foreign, split: str) -> Foreign:
    if not isinstance(loader, module.utils.data.DataLoader):
        raise ValueError(f"make: returns a {type(loader).__name__} for {split}; need a DataLoader")
    if loader.num_workers:
        raise ValueError(
            "make: the DataLoader has worker processes, which JAX's threads forbid; say num_workers=0"
        )
    return loader


class _Batches:
    def __init__(self, loader: Foreign):
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        return map(as_batch, self._loader)


def _rows(loader: Foreign) -> int:
    size = loader.batch_size or 1
    return len(loader) * size if loader.drop_last else len(loader.sampler)


def _from_any_batch(module: Foreign, loader: Foreign, seed: int) -> Batches:
    """Returns `batches(start)`, of which the sampler draws the rows of each epoch from a seed of its own."""

    def seeded(*numbers: int) -> None:
        state = int(np.random.SeedSequence((seed, *numbers)).generate_state(1, np.uint32)[0])
        module.manual_seed(state)
        for sampler in (loader, loader.sampler, loader.batch_sampler):
            if getattr(sampler, "generator", None) is not None:
                sampler.generator.manual_seed(state)

    def batches(start: int) -> Iterator[Batch]:
        begin, first = divmod(start, len(loader))
        for epoch in itertools.count(begin):
            with GENERATOR:
                seeded(epoch)
                order = list(loader.batch_sampler)
            for number, rows in enumerate(order[first:], first):
                with GENERATOR:
                    seeded(epoch, number)
                    batch = loader.collate_fn([loader.dataset[row] for row in rows])
                yield as_batch(batch)
            first = 0

    return batches
