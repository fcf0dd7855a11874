"""A user's own images, read from a folder when they are needed."""

import functools
import hashlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Batch, Dataset, Feature, Key, Spec
from runner.core.bounds import Bound, at_most, check, count
from runner.datasets.splits import cut
from runner.datasets.streams import Stream

log = logging.getLogger("runner")

SPLITS = {
    "train",
    "training",
    "val",
    "valid",
    "validation",
    "test",
    "testing",
}  # names of folders that are no classes
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
# What their content may be, whatever their names: Pillow would run another program for PostScript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
LARGEST_SIZE = 8192  # pixels per side
MEASURED = 512  # training images whose mean and standard deviation are used for those of all
FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"
MODES = {1: "L", 3: "RGB"}
grey_or_colours = Bound(lambda value: value in MODES, "{value} is neither 1 (grey) nor 3 (colours)")


def image_folder(
    path: str,
    size: int = 64,
    channels: int = 3,
    batch_size: int = 64,
    split_seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    workers: int = 4,
) -> Dataset:
    """Streams the images below a folder, each cut to its central square and resized.

    They are x [B, size, size, channels] in [0, 1]. If each image lies in a folder of its class, y [B] is the number of
    that class. An image that cannot be read is logged, and replaced by the next one in the order.

    Args:
        path: the folder; images may lie in folders below it.
        size: height and width in pixels.
        channels: 3, or 1 for grey.
        batch_size: images per batch.
        split_seed: seed of the split, and of the order of the training images, which changes every epoch.
        validation: fraction of the images for validation.
        test: fraction of the images for testing.
        workers: number of threads that read images.

    Raises:
        ValueError: there is no such folder, none of its images can be read, or a setting is out of its range.
    """
    _check(size, channels, batch_size, workers)
    files = _files(path)
    test_rows, validation_rows, train_rows = cut(len(files), split_seed, test=test, validation=validation)
    if batch_size > len(train_rows):
        raise ValueError(f"batch_size: {batch_size} images a batch, of {len(train_rows)} to train on")
    labels = sorted({file.parent.name for file in files}) if _are_sorted_by_class(files, path) else []
    create = functools.partial(_Images, files, labels, size, channels, workers, split_seed)
    train, held_out = create(train_rows, batch_size), (validation_rows, test_rows)
    others = [create(rows, min(batch_size, len(rows)), shuffle=False) for rows in held_out]
    spec = train.describe()
    return Dataset(*(ImageStream(images, spec) for images in (train, *others)))


def _check(size: int, channels: int, batch_size: int, workers: int) -> None:
    check("size", size, count, at_most(LARGEST_SIZE))
    check("channels", channels, grey_or_colours)
    check("batch_size", batch_size, count)
    check("workers", workers, count)


@jax.tree_util.register_pytree_node_class
class ImageStream:
    """Batches of images that are sent to the device as bytes, and scaled to [0, 1] there.

    Args:
        images: yields batches from any number on.
        spec: of the scaled batches.
    """

    def __init__(self, images: "_Images", spec: Spec):
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


class _Images:
    """Batches of some of a folder's images, which can be read from any number on."""

    def __init__(self, files, labels, size, channels, workers, seed, rows, batch_size, shuffle=True):
        self.files, self.labels, self.rows = files, labels, rows
        self.shape, self.workers, self.seed = (size, size, channels), workers, seed
        self.batch_size, self.shuffle = batch_size, shuffle
        self.size = None if shuffle else len(rows)
        self._logged: set[Path] = set()

    def batches(self, start: int) -> Iterator[Batch]:
        """Yields batch `start` and all that follow it, read ahead by threads."""
        # Not in a `with`, which would wait for the threads even while Python shuts down, when it no longer can.
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="images")
        try:
            for number in itertools.count(start):
                positions = range(number * self.batch_size, (number + 1) * self.batch_size)
                rows, x, faults = zip(*pool.map(self._read, positions), strict=True)
                self._log(faults)
                batch = {"x": np.stack(x)}
                if self.labels:
                    batch["y"] = np.array([self._label(row) for row in rows], np.int32)
                yield batch
        finally:
            pool.shutdown(wait=False)

    def describe(self) -> Spec:
        """Returns the spec of the images; mean and standard deviation are those of the first 512."""
        with ThreadPoolExecutor(self.workers) as pool:
            read = pool.map(self._read, range(min(MEASURED, len(self.rows))))
            moments = np.array([_moments(x) for _, x, _ in read])
        mean, square = moments.mean(0)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        features = {"x": Feature(self.shape, "float32")}
        known = {}
        if self.labels:
            features["y"] = Feature((), "int32")
            known = {"classes": len(self.labels), "labels": self.labels}
        std = np.where(std > 1e-6, std, 1).astype(np.float32)
        return Spec(features, mean={"x": mean.astype(np.float32)}, std={"x": std}, **known)

    def digest(self) -> str:
        """Returns the SHA-256 of names, sizes and content of the images; a name contains that of a class."""
        files = [self.files[row] for row in self.rows]
        sha = hashlib.sha256()
        with ThreadPoolExecutor(self.workers) as pool:
            for file, content in zip(files, pool.map(_content, files), strict=True):
                sha.update(
                    f"{file.parent.name if self.labels else ''}/{file.name} {content}\n".encode(
                        errors="surrogateescape"
                    )
                )
        return sha.hexdigest()

    def _row(self, position: int) -> int:
        epoch, within = divmod(position, len(self.rows))
        return int(self.rows[_order(self.seed, epoch, len(self.rows))[within] if self.shuffle else within])

    def _read(self, position: int) -> tuple[int, np.ndarray, dict[Path, Exception]]:
        """Returns the image at a position of the endless order or the next that can be read, and the errors so far."""
        faults = {}
        for attempt in range(len(self.rows)):
            row = self._row(position + attempt)
            try:
                return row, load(self.files[row], *self.shape[1:]), faults
            except MemoryError:  # not the fault of the file
                raise
            except Exception as error:  # Pillow raises errors of many types for broken files
                faults[self.files[row]] = error
        file, fault = next(iter(faults.items()))
        raise ValueError(f"path: none of the {len(self.rows)} images can be read, such as {file} ({fault})")

    def _log(self, faults: Sequence[dict[Path, Exception]]) -> None:
        for file, error in itertools.chain(*(fault.items() for fault in faults)):
            if file not in self._logged:
                self._logged.add(file)
                log.warning("%s cannot be read and is left out: %s", file, error)

    def _label(self, row: int) -> int:
        return self.labels.index(self.files[row].parent.name)


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return f"{file.stat().st_size} {hashlib.file_digest(opened, 'sha256').hexdigest()}"


def load(file: Path, size: int, channels: int) -> np.ndarray:
    """Reads one image, rotated upright, cut to its central square and resized: bytes `[size, size, channels]`.

    Transparent parts become white. Of 16 bits per pixel the upper 8 are kept.

    Raises:
        OSError: the file is not a complete image, or its pixels are not of 8 or 16 bits.
        Exception: anything else that Pillow raises for a broken file.
    """
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode[0] in "IF":  # which Pillow would clip at 255
            image = Image.fromarray(_upper_bits(np.asarray(image)))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = ImageOps.fit(image.convert(MODES[channels]), (size, size), Image.Resampling.BICUBIC)
        return np.asarray(image, np.uint8).reshape(size, size, channels)


def _upper_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype.kind == "f" or pixels.min() < 0 or pixels.max() > np.iinfo(np.uint16).max:
        raise OSError(f"its {pixels.dtype} pixels are not of 8 or 16 bits")
    return (pixels >> 8).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox((seed, epoch))).permutation(size)


def _moments(x: np.ndarray) -> np.ndarray:
    scaled = x.reshape(-1, x.shape[-1]) / 255
    return np.stack([scaled.mean(0), np.square(scaled).mean(0)])


def _files(path: str) -> list[Path]:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"path: there is no folder {path}; for Oxford Flowers 102, say, fetch {FLOWERS}, unpack it and name its jpg"
        )
    files = sorted(file for file in folder.rglob("*") if is_image(file))
    if len(files) < 3:
        images = f"{len(files)} images" if files else "no images"
        raise ValueError(f"path: {path} has {images} ({', '.join(sorted(ENDINGS))}); need 3 or more")
    return files


def is_image(file: Path) -> bool:
    """Returns whether a path is a file that is named like an image."""
    return file.suffix.lower() in ENDINGS and file.is_file()


def _are_sorted_by_class(files: list[Path], path: str) -> bool:
    folders = {file.parent for file in files}
    are_direct = all(folder.parent == Path(path).expanduser() for folder in folders)
    return are_direct and not {folder.name for folder in folders} <= SPLITS
