"""Batches that a function of the user provides."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from runner.core import Batch, Dataset, Spec
from runner.core.bounds import check, count, optional
from runner.datasets.pipelines.examples import Foreign
from runner.datasets.streams import Stream

MEASURED = 1024  # training rows whose mean and standard deviation are used for those of all
SPLITS: tuple[str, ...] = ("train", "validation", "test")
Batches = Callable[[int], Iterator[Batch]] | Iterable[Batch]  #: as for `Stream`


def stream(
    make: Callable,
    settings: Mapping[str, object] | None = None,
    size: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    classes: int | None = None,
    ahead: int = 16,
) -> Dataset:
    """Takes batches from a function of the user: `make(split, **settings)`, for "train", "validation" and "test".

    The function returns an iterable of batches, or a function `start -> iterator`, by which a run can be resumed
    exactly. A function with a parameter `start` yields the batches itself. A batch is a mapping of arrays `[B, ...]`,
    usually x and y. Whole numbers y [B] are classes.

    Args:
        make: the function, such as `package.module.function`.
        settings: further arguments of the function.
        size: training rows in one pass, by which epochs are counted, or None.
        validation: rows in one pass over the validation data, or None if the length of the iterable determines them.
        test: rows in one pass over the test data, likewise.
        classes: number of classes, or None for those of the first 1,024 rows.
        ahead: number of batches to prefetch.

    Raises:
        ValueError: a stream is empty, it is not known where a pass over held-out rows ends, or as for `Stream`.
    """
    sizes = (size, validation, test)
    for name, rows in zip(("size", *SPLITS[1:]), sizes, strict=True):
        check(name, rows, optional(count))
    create = functools.partial(make, **(settings or {}))
    takes_start = "start" in inspect.signature(make).parameters
    parts = [functools.partial(create, split) if takes_start else create(split) for split in SPLITS]
    return dataset_of(parts, sizes, ahead, classes=classes)


def dataset_of(
    parts: Sequence[Batches], sizes: Sequence[int | None], ahead: int = 16, **known: Foreign
) -> Dataset:
    """Creates the streams of a dataset, with the spec of its first training rows.

    Args:
        parts: the batches for training, validation and test.
        sizes: rows in one pass over each split, or None.
        ahead: number of batches to prefetch.
        known: arguments of `Spec.of` for what the rows do not tell; None leaves one to them.

    Raises:
        ValueError: it is not known where a pass over held-out rows ends, or as for `Stream`.
    """
    for split, batches in zip(SPLITS, parts, strict=True):
        if not (callable(batches) or isinstance(batches, Iterable)):
            raise ValueError(
                f"make: the batches of {split} are a {type(batches).__name__}; need an iterable, or a function of the"
                " number of the first batch"
            )
    told = {name: value for name, value in known.items() if value is not None}
    train = Stream(parts[0], size=sizes[0], measured=MEASURED, ahead=ahead, **told)
    held_out = [
        _held_out(*each, train.spec, ahead) for each in list(zip(SPLITS, parts, sizes, strict=True))[1:]
    ]
    return Dataset(train, *held_out)


def _held_out(split: str, batches: Batches, size: int | None, spec: Spec, ahead: int) -> Stream:
    if isinstance(batches, Iterator):
        raise ValueError(
            f"make: the batches of {split} are an iterator, which can be read only once; return an iterable"
        )
    source = Stream(batches, spec=spec, size=size, ahead=ahead)
    if source.size is None:
        raise ValueError(f"{split}: the end of a pass is not known; say the number of its rows")
    return source
