"""Batches that a program computes, for `dataset=stream dataset.make=batches.waves`."""

import itertools
from collections.abc import Iterator

import numpy as np

from runner.core import Batch

SEEDS = {"train": 0, "validation": 1, "test": 2}


def waves(split: str, start: int, noise: float = 0.1) -> Iterator[Batch]:
    """Yields batches of a noisy sine from batch `start` on; each is a function of its split and its number alone."""
    for number in itertools.count(start):
        random = np.random.Generator(np.random.Philox((SEEDS[split], number)))
        x = random.uniform(-3, 3, size=(64, 1))
        yield {"x": x, "y": np.sin(x) + noise * random.normal(size=x.shape)}
