"""Batches of images, read from their files when they are needed."""

import collections
import functools
import hashlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Batch, Feature, Key, Spec
from runner.datasets.images.decoding import Form
from runner.datasets.images.workers import Workers
from runner.datasets.streams import Stream

log = logging.getLogger("runner")

MEASURED = 512  # training images whose mean, deviation and depth are used for those of all
READ_AHEAD = 2  # batches that workers read while one is used


@jax.tree_util.register_pytree_node_class
class ImageStream:
    """Batches of images that are sent to the device as bytes, and scaled to [0, 1] there.

    Args:
        images: yields batches from any number on.
        spec: of the scaled batches.

    Attributes:
        resumable: whether the stream can start at any batch.
    """

    resumable = True

    def __init__(self, images: "Images", spec: Spec):
        sent = {
            name: (shape, "uint8" if name == "x" else dtype) for name, (shape, dtype) in spec.features.items()
        }
        self._stream = Stream(images.batches, spec=Spec(sent, classes=spec.classes), ahead=4)
        self.spec, self.size, self.batch_size, self._images = spec, images.size, images.batch_size, images

    @property
    def digest(self) -> str:
        """The SHA-256 of names, sizes and content of the images, in their order."""
        return self._images.digest()

    def feed(self, key: Key, start: int, length: int) -> dict[str, np.ndarray]:
        """Returns the next batches as bytes, stacked: `[length, batch_size, ...]`."""
        return self._stream.feed(key, start, length)

    def batch(self, key: Key, item: Batch) -> Batch:
        """Scales bytes to [0, 1]."""
        return {**item, "x": item["x"].astype(jnp.float32) / 255}

    def tree_flatten(self):
        """Returns no leaves, and the counts as static data."""
        return (), (self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: only the counts."""
        source = object.__new__(cls)
        source.batch_size, source.size = static
        return source


class Images:
    """Batches of image files, which can be read from any number on.

    Args:
        files: the images.
        y: the target of each, or None.
        marks: what the digest of the data says of each besides its name and content, such as its class.
        form: what each image becomes.
        workers: they decode the images.
        seed: of the order.
        batch_size: images per batch.
        shuffle: whether each epoch has its own random order.
    """

    def __init__(
        self,
        files: Sequence[Path],
        y: np.ndarray | None,
        marks: Sequence[str],
        form: Form,
        workers: Workers,
        seed: int,
        batch_size: int,
        shuffle: bool = True,
    ):
        self.files, self.y, self.marks = files, y, marks
        self.form, self.workers, self.seed = form, workers, seed
        self.batch_size, self.shuffle = batch_size, shuffle
        self.size = None if shuffle else len(files)
        self._logged: set[Path] = set()

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batch `start` and all that follow it."""
        begun = collections.deque()
        for number in itertools.count(start):
            begun.append(self._begin(range(number * self.batch_size, (number + 1) * self.batch_size)))
            if len(begun) > READ_AHEAD:
                yield begun.popleft()()

    def _begin(self, positions: range) -> Callable[[], Batch]:
        """Starts to read the images at positions of the endless order, and returns a function that waits for them."""
        rows = [self._row(position) for position in positions]
        pending = self._decode(rows)

        def batch() -> Batch:
            read = [
                self._or_next(position, image) for position, image in zip(positions, pending(), strict=True)
            ]
            found, x = zip(*read, strict=True)
            y = {} if self.y is None else {"y": self.y[list(found)]}
            return {"x": np.stack(x), **y}

        return batch

    def depth(self) -> int | None:
        """Returns how many bits the first 512 images of the order use if they have 16, or None."""
        files = [str(self.files[self._row(position)]) for position in range(min(MEASURED, len(self.files)))]
        depths = self.workers.begin("depths", files, self.form)()
        return max((depth for depth in depths if isinstance(depth, int)), default=0) or None

    def describe(self, **known) -> Spec:
        """Returns the spec of the images; mean and standard deviation are those of the first 512 of the order."""
        x = self._begin(range(min(MEASURED, len(self.files))))()["x"]
        mean, square = np.array([_moments(image) for image in x]).mean(0)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        std = np.where(std > 1e-6, std, 1).astype(np.float32)
        targets = Spec({}) if self.y is None else Spec.of({"y": self.y}, classes=None)
        return Spec(
            {"x": Feature(x.shape[1:], "float32"), **targets.features},
            mean={"x": mean.astype(np.float32), **targets.mean},
            std={"x": std, **targets.std},
            **known,
        )

    def digest(self) -> str:
        """Returns the SHA-256 of marks, names, sizes and content of the images."""
        sha = hashlib.sha256()
        with ThreadPoolExecutor(self.workers.count) as pool:
            for mark, file, content in zip(
                self.marks, self.files, pool.map(_content, self.files), strict=True
            ):
                sha.update(f"{mark}/{file.name} {content}\n".encode(errors="surrogateescape"))
        return sha.hexdigest()

    def _row(self, position: int) -> int:
        epoch, within = divmod(position, len(self.files))
        return int(_order(self.seed, epoch, len(self.files))[within]) if self.shuffle else within

    def _decode(self, rows: Sequence[int]) -> Callable[[], list]:
        return self.workers.begin("pixels", [str(self.files[row]) for row in rows], self.form)

    def _or_next(self, position: int, image: bytes | str) -> tuple[int, np.ndarray]:
        """Returns the row and the image at a position, or those of the next one that can be read."""
        size, channels, *_ = self.form
        for attempt in range(len(self.files)):
            row = self._row(position + attempt)
            if attempt:
                [image] = self._decode([row])()
            if isinstance(image, bytes):
                return row, np.frombuffer(image, np.uint8).reshape(size, size, channels)
            self._log(self.files[row], image)
        raise ValueError(
            f"path: none of the {len(self.files)} images can be read, such as {self.files[row]} ({image})"
        )

    def _log(self, file: Path, reason: str) -> None:
        if file not in self._logged:
            self._logged.add(file)
            log.warning("%s cannot be read and is left out: %s", file, reason)


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return f"{file.stat().st_size} {hashlib.file_digest(opened, 'sha256').hexdigest()}"


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox((seed, epoch))).permutation(size)


def _moments(x: np.ndarray) -> np.ndarray:
    scaled = x.reshape(-1, x.shape[-1]) / 255
    return np.stack([scaled.mean(0), np.square(scaled).mean(0)])
