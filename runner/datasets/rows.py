"""Sources of rows that are read when they are needed, for data that does not fit into memory."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Batch, Dataset, Key, Spec
from runner.core.bounds import at_most, check, count
from runner.datasets.checks import check_labels, narrow
from runner.datasets.sources import row_numbers
from runner.datasets.splits import HELD_OUT_BATCH

DIGESTED = 256  # rows of a part that enter its digest
Read = Callable[[np.ndarray], Mapping[str, np.ndarray]]  #: row numbers [N], ascending -> arrays [N, ...]


class Part(NamedTuple):
    """Some rows of a table, a file or another collection: those of one data split."""

    read: Read
    numbers: np.ndarray  # of the rows [N], ascending


@jax.tree_util.register_pytree_node_class
class Rows:
    """Batches of rows that the host reads for each chunk, in the same order as those of `Arrays`.

    The order is a function of the run's key and the epoch, so that a run can be resumed exactly. It takes 4 bytes per
    row and epoch. Rows are checked when they are read, and reach the device with the dtype in which they are stored.

    Args:
        part: reads the rows.
        batch_size: rows per batch.
        spec: the spec of the batches; rows are converted to its dtypes on the device.
        shuffle: whether each epoch has its own random order.
        are_images: whether x consists of bytes, which become fractions in [0, 1].

    Raises:
        ValueError: there are fewer rows than in a batch.
    """

    def __init__(
        self, part: Part, batch_size: int, *, spec: Spec, shuffle: bool = True, are_images: bool = False
    ):
        self.size = len(part.numbers)
        check("batch_size", batch_size, count, at_most(self.size))
        self._part, self.batch_size, self.shuffle, self.spec = part, batch_size, shuffle, spec
        self._dtypes = {name: dtype for name, (_, dtype) in spec.features.items()}
        self._are_images = are_images

    @property
    def digest(self) -> str:
        """The SHA-256 of the number of rows and of 256 of them, evenly spaced."""
        sha = hashlib.sha256(f"{self.size}".encode())
        for name, rows in self._part.read(sample(self._part.numbers, DIGESTED)).items():
            sha.update(f"{name} {rows.shape} {rows.dtype}".encode() + np.ascontiguousarray(rows).tobytes())
        return sha.hexdigest()

    def feed(self, key: Key, start: int, length: int) -> dict[str, np.ndarray]:
        """Returns the rows of the next batches, stacked: `[length, batch_size, ...]`.

        Raises:
            ValueError: a row is not finite, does not fit into the precision of JAX, or does not match the spec.
        """
        positions = row_numbers(key, start, length, self.batch_size, self.size, self.shuffle)
        unique, places = np.unique(positions, return_inverse=True)  # ascending, as files are read best
        arrays = _checked(self._part.read(self._part.numbers[unique]), self._part.numbers[unique], self.spec)
        return {name: rows[places.reshape(positions.shape)] for name, rows in arrays.items()}

    def batch(self, key: Key, item: Batch) -> Batch:
        """Converts rows to the dtypes of the spec."""
        batch = {name: jnp.asarray(rows, self._dtypes[name]) for name, rows in item.items()}
        return {**batch, "x": batch["x"] / 255} if self._are_images else batch

    def tree_flatten(self):
        """Returns no leaves, and the sizes and dtypes as static data."""
        return (), (self.batch_size, self.size, tuple(self._dtypes.items()), self._are_images)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: the sizes and dtypes."""
        source = object.__new__(cls)
        source.batch_size, source.size, dtypes, source._are_images = static
        source._dtypes = dict(dtypes)
        return source


def dataset_of(
    parts: Mapping[str, Part],
    batch_size: int,
    measured: int,
    known: Mapping[str, object],
    are_images: bool = False,
) -> Dataset:
    """Creates the sources of parts named train, validation and test.

    Args:
        parts: the rows of each split.
        batch_size: rows per batch of training.
        measured: number of training rows, evenly spaced, from which the spec is computed.
        known: arguments of `Spec.of` for what the rows do not tell.
        are_images: as for `Rows`.

    Raises:
        ValueError: as for `Rows`, or the rows cannot be read.
    """
    train = parts["train"]
    numbers = sample(train.numbers, measured)
    rows = {name: narrow(name, values, numbers) for name, values in train.read(numbers).items()}
    rows = {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in rows.items()
    }
    rows["x"] = rows["x"].astype(np.float32) / (255 if are_images else 1)
    spec = Spec.of(rows, **known)
    options = {"spec": spec, "are_images": are_images}
    held_out = [
        Rows(part, min(HELD_OUT_BATCH, len(part.numbers)), shuffle=False, **options)
        for part in (parts["validation"], parts["test"])
    ]
    return Dataset(Rows(train, batch_size, **options), *held_out)


def sample(numbers: np.ndarray, most: int) -> np.ndarray:
    """Returns at most so many of some numbers, evenly spaced, in their order."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).astype(np.int64))]


def _checked(rows: Mapping[str, np.ndarray], numbers: np.ndarray, spec: Spec) -> dict[str, np.ndarray]:
    arrays = {name: narrow(name, values, numbers) for name, values in rows.items()}
    for name, values in arrays.items():
        if values.shape[1:] != spec.shape(name):
            raise ValueError(f"{name}: rows have shape {values.shape[1:]}; the first have {spec.shape(name)}")
    if spec.classes is not None:
        check_labels("y", arrays["y"], spec.classes, numbers)
    return arrays
