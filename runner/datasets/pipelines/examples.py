"""What the datasets of other libraries share: imports, examples as rows, and batches from any number on."""

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from runner.core import Batch

#: an object of a library that may not be installed
Foreign: TypeAlias = Any


def library(module: str, extra: str) -> Foreign:
    """Imports an optional library.

    Raises:
        ValueError: it is not installed; the message says which command installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ValueError(
            f"{module} is not installed: say pip install 'jax-runner[{extra}]', or '.[{extra}]' in a checkout"
        ) from None


def as_batch(element: object) -> Batch:
    """Returns a mapping of arrays; the members of a tuple or a list are x and y, and images of bytes lie in [0, 1]."""
    if isinstance(element, tuple | list):
        if len(element) > 2:
            raise ValueError(f"make: an example has {len(element)} members; need x and y, or a mapping")
        element = dict(zip(("x", "y"), element, strict=False))
    arrays = (
        {name: np.asarray(rows) for name, rows in element.items()} if isinstance(element, Mapping) else None
    )
    if arrays is None:
        raise ValueError(
            f"make: an example is a {type(element).__name__}; need a mapping, or a pair of x and y"
        )
    x = arrays.get("x")
    is_image = x is not None and x.dtype == np.uint8 and x.ndim > 2
    return {**arrays, "x": x.astype(np.float32) / 255} if is_image and x is not None else arrays


def epochs(create: Callable[[int], Iterable[Batch]], length: int | None) -> Callable[[int], Iterator[Batch]]:
    """Returns `batches(start)` for a `Stream`, from the batches of each epoch.

    Batches before `start` are read and left out: those of its epoch, or, if the length is not known, all of them.

    Args:
        create: number of an epoch -> its batches, which are a function of this number alone.
        length: the number of batches of an epoch, or None.

    Raises:
        ValueError: at the end of an epoch, if it has another length.
    """

    def batches(start: int) -> Iterator[Batch]:
        first, skipped = divmod(start, length) if length else (0, start)
        for epoch in itertools.count(first):
            count = 0
            for batch in create(epoch):
                count += 1
                if skipped:
                    skipped -= 1
                else:
                    yield batch
            if length not in (None, count):
                raise ValueError(f"size: stands for {length} batches in an epoch, and there are {count}")
            if not count:
                return

    return batches


def in_batches(rows: Iterable[Sequence], batch_size: int, drops: bool) -> Iterator[Batch]:
    """Yields batches of examples (x,) or (x, y); the last one may be smaller, or is left out if `drops` is true."""
    rows = iter(rows)
    while batch := list(itertools.islice(rows, batch_size)):
        if len(batch) == batch_size or not drops:
            yield as_batch([np.stack(column) for column in zip(*batch, strict=True)])


def fitted(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the central square of an image, in `size` times `size` pixels of three colours: bytes [size, size, 3]."""
    from PIL import Image, ImageOps

    pixels = image[..., 0] if image.shape[-1:] == (1,) else image
    return np.asarray(
        ImageOps.fit(Image.fromarray(pixels).convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    )
