"""Archives of WebDataset."""

import functools
import glob
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runner.core import Batch, Dataset
from runner.core.bounds import at_least, check
from runner.datasets.pipelines.examples import Foreign, epochs, fitted, in_batches, library
from runner.datasets.pipelines.iterables import dataset_of


def webdataset(
    path: str,
    validation_path: str,
    test_path: str,
    inputs: str = "jpg;png",
    target: str | None = "cls",
    size: int | None = None,
    pixels: int = 64,
    batch_size: int = 64,
    shuffle: int = 1000,
    seed: int = 0,
    classes: int | None = None,
) -> Dataset:
    """Reads examples from tar archives, shuffled within a buffer; images are cut to squares, and lie in [0, 1].

    Args:
        path: the archives for training: a file, or a pattern such as `shards/train-*.tar`.
        validation_path: the archives for validation.
        test_path: the archives for testing.
        inputs: the ending of the files that become x, such as `npy` for arrays.
        target: the ending of the files that become y, or None for data without targets.
        size: training examples. A resumed run reads again what came before in its epoch, or in all epochs for None.
        pixels: height and width of images.
        batch_size: examples per batch.
        shuffle: examples of the buffer from which the next one is drawn; 0 keeps their order.
        seed: seed of the order, which changes every epoch.
        classes: number of classes, or None for those of the first 1,024 examples.

    Raises:
        ValueError: the library or an archive is missing.
    """
    check("shuffle", shuffle, at_least(0))
    module = library("webdataset", "webdataset")
    paths = {"path": path, "validation_path": validation_path, "test_path": test_path}
    archives, *held_out = [_archives(*each) for each in paths.items()]
    batches = functools.partial(_batches, module, inputs, target, pixels, batch_size)
    streams = [epochs(functools.partial(batches, archives, shuffle, seed), size and size // batch_size)]
    streams += [epochs(functools.partial(batches, files, 0, None), None) for files in held_out]
    counts = [sum(1 for _ in module.WebDataset(files, shardshuffle=False)) for files in held_out]
    return dataset_of(streams, (size, *counts), classes=classes)


def _batches(
    module: Foreign,
    inputs: str,
    target: str | None,
    pixels: int,
    batch_size: int,
    files: list[str],
    buffer: int,
    seed: int | None,
    epoch: int,
) -> Iterator[Batch]:
    """Yields the batches of an epoch, in random order and without a smaller last one if there is a seed."""
    if seed is not None:
        order = np.random.Generator(np.random.Philox((seed, epoch))).permutation(len(files))
        files = [files[number] for number in order]
    examples = module.WebDataset(files, shardshuffle=False)
    if buffer:
        examples = examples.shuffle(buffer, rng=random.Random(f"{seed} {epoch}"))
    endings = [inputs] if target is None else [inputs, target]
    rows = (
        (fitted(x, pixels) if x.dtype == np.uint8 and x.ndim == 3 else x, *rest)
        for x, *rest in examples.decode("rgb8").to_tuple(*endings)
    )
    return in_batches(rows, batch_size, drops=seed is not None)


def _archives(setting: str, pattern: str) -> list[str]:
    files = sorted(glob.glob(str(Path(pattern).expanduser())))
    if not files:
        raise ValueError(f"{setting}: {pattern} leads to no archive")
    return files
