"""The sources of a dataset of image files, from the files of its parts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import report
from runner.datasets.images.decoding import DEEP
from runner.datasets.images.settings import ImageSettings
from runner.datasets.images.stream import Images, ImageStream
from runner.datasets.images.workers import Workers
from runner.datasets.splits import cut

NAMED = 20  # classes whose counts are printed


class Rows(NamedTuple):
    """Image files, and what is known of each."""

    files: Sequence[Path]
    y: np.ndarray | None  #: the targets
    marks: Sequence[str]  #: what the digest of the data says of each besides its name and content

    def take(self, rows: np.ndarray) -> "Rows":
        """Returns some of the rows."""
        y, numbers = None if self.y is None else self.y[rows], [int(row) for row in rows]
        return Rows([self.files[row] for row in numbers], y, [self.marks[row] for row in numbers])


def _completed(parts: Mapping[str, Rows], settings: ImageSettings) -> dict[str, Rows]:
    """Returns parts with those that are missing, which are taken from the training rows at random."""
    missing = {name: getattr(settings, name) for name in ("test", "validation") if name not in parts}
    *taken, rest = cut(len(parts["train"].files), settings.split_seed, **missing)
    drawn = zip((*missing, "train"), (*taken, rest), strict=True)
    whole = {**parts, **{name: parts["train"].take(rows) for name, rows in drawn}}
    return {name: whole[name] for name in Dataset._fields}


def assembled(parts: Mapping[str, Rows], labels: Sequence[str], settings: ImageSettings) -> Dataset:
    """Returns the sources of the three parts, and prints how many images they have.

    Args:
        parts: "train" and, where they are not taken from it, "validation" and "test" -> rows.
        labels: the names of the classes, or empty.
        settings: the settings.

    Raises:
        ValueError: as for `cut`, there are fewer training images than in a batch, or none of them can be read.
    """
    parts = _completed(parts, settings)
    _report_counts(parts, labels, settings.path)
    size, batch_size = len(parts["train"].files), settings.batch_size
    if batch_size > size:
        raise ValueError(f"batch_size: {batch_size} images a batch, of {size} to train on")
    workers, seed = Workers(settings.workers), settings.split_seed
    train = Images(*parts["train"], settings.form, workers, seed, batch_size)
    depth = None if settings.labels == "earlier" else train.depth()
    form = train.form = settings.form._replace(depth=depth or DEEP)
    known = {"classes": len(labels), "labels": labels} if labels else {}
    spec = train.describe(depth=depth, **known)
    others = [
        Images(*parts[name], form, workers, seed, min(batch_size, len(parts[name].files)), shuffle=False)
        for name in ("validation", "test")
    ]
    return Dataset(*(ImageStream(images, spec) for images in (train, *others)))


def _report_counts(parts: Mapping[str, Rows], labels: Sequence[str], path: str) -> None:
    """Prints how many images each part has, and how many of them each class."""
    found = f"note: {path}: {', '.join(f'{len(rows.files)} {name}' for name, rows in parts.items())} images"
    if not labels:
        return report(f"{found}, without classes")
    counts = Counter(labels[y] for rows in parts.values() if rows.y is not None for y in rows.y)
    named = [f"{label} {counts[label]}" for label in labels[:NAMED]]
    more = [f"and {len(labels) - NAMED} more"] if len(labels) > NAMED else []
    return report(f"{found} of {len(labels)} classes: {', '.join(named + more)}")
