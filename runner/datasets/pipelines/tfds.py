"""Datasets of TensorFlow Datasets that are prepared on the disk."""

import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from runner.core import Dataset
from runner.core.bounds import check, count
from runner.datasets.pipelines.examples import Foreign, fitted, library
from runner.datasets.rows import Part, dataset_of

MEASURED = 1024  # training rows whose mean and standard deviation are used for those of all
PREPARE = (
    "prepare it once: python -c \"import tensorflow_datasets as tfds; tfds.builder('{}', data_dir='{}',"
    " file_format='array_record').download_and_prepare()\""
)


def tfds(
    name: str,
    path: str = "~/tensorflow_datasets",
    inputs: str = "image",
    target: str | None = "label",
    size: int = 64,
    batch_size: int = 64,
    train: str = "train",
    validation: str = "validation",
    test: str = "test",
    workers: int = 4,
) -> Dataset:
    """Reads a dataset of TensorFlow Datasets by row, from files in the format `array_record`, without TensorFlow.

    Images are cut to their central square and resized, and lie in [0, 1].

    Args:
        name: the dataset, such as `oxford_flowers102`, also with a configuration and a version.
        path: the folder in which it is prepared; nothing is downloaded.
        inputs: the feature that becomes x.
        target: the feature that becomes y, or None for data without targets.
        size: height and width of images in pixels.
        batch_size: rows per batch.
        train: the split for training, such as `train` or `train[:90%]`.
        validation: the split for validation.
        test: the split for testing.
        workers: number of threads that decode images.

    Raises:
        ValueError: the library, the dataset, a split or a feature is missing.
    """
    check("size", size, count)
    sources = _sources(name, path, {"train": train, "validation": validation, "test": test})
    are_images, known = _described(sources["train"].dataset_info.features, name, inputs, target)
    read = functools.partial(_read, ThreadPoolExecutor(workers, thread_name_prefix="tfds"), inputs, target)
    parts = {
        split: Part(functools.partial(read, size if are_images else None, source), np.arange(len(source)))
        for split, source in sources.items()
    }
    return dataset_of(parts, batch_size, MEASURED, known, are_images)


def _described(
    features: Foreign, name: str, inputs: str, target: str | None
) -> tuple[bool, dict[str, Foreign]]:
    """Returns whether x are images, and what is known of the classes."""
    kinds = library("tensorflow_datasets", "tfds").features
    for feature in (inputs, target):
        if feature is not None and feature not in features:
            raise ValueError(f"{feature}: {name} has no such feature; it has {', '.join(sorted(features))}")
    known = {}
    if target is not None and isinstance(features[target], kinds.ClassLabel):
        known = {"classes": features[target].num_classes, "labels": features[target].names}
    return isinstance(features[inputs], kinds.Image), known


def _read(
    pool: ThreadPoolExecutor,
    inputs: str,
    target: str | None,
    size: int | None,
    source: Foreign,
    numbers: np.ndarray,
) -> dict[str, np.ndarray]:
    def example(number: int) -> list[np.ndarray]:
        row = source[number]
        x = row[inputs] if size is None else fitted(row[inputs], size)
        return [np.asarray(x)] if target is None else [np.asarray(x), np.asarray(row[target])]

    columns = zip(*pool.map(example, numbers.tolist()), strict=True)
    return dict(zip(("x", "y"), map(np.stack, columns), strict=False))


def _sources(name: str, path: str, splits: Mapping[str, str]) -> dict[str, Foreign]:
    module = library("tensorflow_datasets", "tfds")
    library("array_record", "tfds")
    try:
        return {
            part: module.data_source(name, split=split, data_dir=path, download=False)
            for part, split in splits.items()
        }
    except (module.core.registered.DatasetNotFoundError, FileNotFoundError) as error:
        raise ValueError(f"name: {' '.join(str(error).split())[:200]}") from None
    except (AssertionError, NotImplementedError):  # which the library raises for what is not prepared
        raise ValueError(f"name: {name} is not in {path}; {PREPARE.format(name, path)}") from None
