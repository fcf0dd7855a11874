"""A user's own images, in folders."""

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import report
from runner.datasets.images.assembly import Rows, assembled
from runner.datasets.images.folders import Part, parts_of
from runner.datasets.images.settings import ImageSettings


def image_folder(
    path: str,
    size: int = 64,
    channels: int = 3,
    batch_size: int = 64,
    split_seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    workers: int = 4,
    labels: str = "earlier",
    draft: bool = False,
) -> Dataset:
    """Streams the images below a folder, each cut to its central square and resized.

    They are x [B, size, size, channels] in [0, 1], and y [B] is the number of the class of each if they are sorted
    into folders. If all folders are called train, val (or validation) and test, they are these parts of the data, with
    the folders of the classes below them; the parts that are missing are taken from train. An image that cannot be read
    is logged, and replaced by the next one in the order. `ImageSettings` describes the settings.

    Raises:
        ValueError: there is no such folder, its folders contradict each other, none of its images can be read, or a
            setting is out of its range.
    """
    settings = ImageSettings(**locals())
    found = parts_of(path, labels)
    classes = sorted(set(found["train"].classes))
    if len(classes) == 1 and labels == "folders":
        report(
            f"note: path: {classes[0]} is the only folder with images in {path}, which makes no classes; if its folders"
            " are the classes, name it as the path"
        )
        classes = []
    return assembled({name: _rows(part, classes) for name, part in found.items()}, classes, settings)


def _rows(part: Part, classes: list[str]) -> Rows:
    if not classes:
        return Rows(part.files, None, [""] * len(part.files))
    return Rows(part.files, np.array([classes.index(name) for name in part.classes], np.int32), part.classes)
