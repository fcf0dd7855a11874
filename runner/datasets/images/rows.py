"""Images of which a trained net predicts something."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from runner.core import Spec
from runner.datasets.images.decoding import DEEP, Form, decode
from runner.datasets.images.workers import Workers
from runner.datasets.inputs import Inputs

AT_ONCE = 250  # images in memory


def read_inputs(files: Sequence[Path], spec: Spec, settings: Mapping) -> Iterator[Inputs]:
    """Yields images x [N, size, size, channels] in [0, 1] in blocks, read as in training.

    Args:
        files: the images; one that cannot be read is a problem of its row.
        spec: of the data with which the net was trained.
        settings: of the dataset of image files with which it was trained.
    """
    form = Form(settings["size"], settings["channels"], spec.depth or DEEP, settings.get("draft", False))
    workers = Workers(settings["workers"])
    for start in range(0, len(files), AT_ONCE):
        names = tuple(map(str, files[start : start + AT_ONCE]))
        found = workers.begin("pixels", names, form)()
        problems = [
            f"{name}: {image}" for name, image in zip(names, found, strict=True) if isinstance(image, str)
        ]
        rows = [row for row, image in enumerate(found) if isinstance(image, bytes)]
        pixels = np.frombuffer(b"".join(found[row] for row in rows), np.uint8)
        x = pixels.reshape(-1, form.size, form.size, form.channels) / np.float32(255)
        yield Inputs(x, np.array(rows, int), names, tuple(problems), len(names))


def load(file: Path, size: int, channels: int) -> np.ndarray:
    """Reads one image: bytes `[size, size, channels]`; of 16 bits per pixel the upper 8 are kept.

    Raises:
        Exception: as for `decode`.
    """
    return np.frombuffer(decode(str(file), Form(size, channels)), np.uint8).reshape(size, size, channels)
