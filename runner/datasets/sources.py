"""Sources of batches on the device: arrays on the device, and samplers in the compiled step."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, Batch, Key, Spec
from runner.core.bounds import check, count
from runner.datasets.checks import check_described, checked


@jax.tree_util.register_pytree_node_class
class Arrays:
    """Batches of rows held on the device; the host sends only the row numbers.

    If shuffled, batch `t` takes the rows from `t * batch_size` on of an endless sequence of permutations, one for each
    epoch, drawn by NumPy's Philox from the run's data key and the epoch. Each epoch visits each row exactly once,
    whatever the batch size, and any batch can be computed without the ones before it. Otherwise rows come in order,
    and the last batch of a pass is filled up from the beginning.

    Args:
        arrays: name -> rows `[N, ...]`, all of one length; copied.
        batch_size: rows per batch, or None for all of them, in order.
        spec: the spec of the data; computed from the rows if it is None (held-out rows take that of the training
            rows).
        shuffle: whether each epoch has its own random order.

    Raises:
        ValueError: there are no rows or fewer than in a batch, the arrays differ in length, a value is not a finite
            number, a label lies outside the classes, or the rows do not match the spec.
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        batch_size: int | None,
        *,
        spec: Spec | None = None,
        shuffle: bool = True,
    ):
        rows = checked(arrays)
        self.size = len(next(iter(rows.values())))
        if batch_size is not None and not 1 <= batch_size <= self.size:
            raise ValueError(
                f"batch_size: {batch_size} rows a batch, of {self.size} rows; need 1 to {self.size}"
            )
        self.batch_size = self.size if batch_size is None else batch_size
        self.shuffle = shuffle and batch_size is not None
        self.spec = Spec.of(rows) if spec is None else spec
        check_described(rows, self.spec)
        self.arrays = {name: jnp.asarray(values) for name, values in rows.items()}

    def feed(self, key: Key, start: int, length: int) -> np.ndarray:
        """Returns row numbers `[length, batch_size]`."""
        return row_numbers(key, start, length, self.batch_size, self.size, self.shuffle)

    def batch(self, key: Key, item: jax.Array) -> Batch:
        """Returns the rows with the given numbers."""
        return {name: rows[item] for name, rows in self.arrays.items()}

    def tree_flatten(self):
        """Returns the rows as leaves, and everything else but the spec as static data."""
        return (self.arrays,), (self.size, self.batch_size, self.shuffle)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: everything but the spec."""
        source = object.__new__(cls)
        (source.arrays,), (source.size, source.batch_size, source.shuffle) = leaves, static
        return source


def row_numbers(key: Key, start: int, length: int, batch_size: int, size: int, shuffle: bool) -> np.ndarray:
    """Returns the numbers of the rows of batches, as described for `Arrays`: `[length, batch_size]`.

    Args:
        key: the data key of the run.
        start: the number of the first batch.
        length: the number of batches.
        batch_size: rows per batch.
        size: rows in one pass.
        shuffle: whether each epoch has its own random order.
    """
    first, last = start * batch_size, (start + length) * batch_size
    if not shuffle:
        return (np.arange(first, last) % size).astype(np.int32).reshape(length, -1)
    words = tuple(np.asarray(jax.random.key_data(key)).ravel().tolist())
    epochs = range(first // size, (last - 1) // size + 1)
    rows = np.concatenate([_permutation(words, epoch, size) for epoch in epochs])
    offset = first - epochs.start * size
    return rows[offset : offset + last - first].reshape(length, -1)


@functools.lru_cache(maxsize=4)
def _permutation(words: tuple[int, ...], epoch: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox((*words, epoch))).permutation(size).astype(np.int32)


@jax.tree_util.register_pytree_node_class
class Sampler:
    """New batches, drawn inside the compiled step.

    Args:
        draw: `draw(key, size, *settings) -> batch [size, ...]`, a function at module level, so that equal
            samplers share compiled programs.
        settings: arrays and numbers for `draw`, passed as arguments of the compiled call.
        batch_size: examples per batch.
        spec: the spec of the data.
        size: examples in one pass over held-out data, or None if the source is endless.

    Raises:
        ValueError: `batch_size` is less than 1.
    """

    def __init__(
        self,
        draw: Callable[..., Batch],
        settings: tuple,
        batch_size: int,
        *,
        spec: Spec,
        size: int | None = None,
    ):
        check("batch_size", batch_size, count)
        self.draw, self.settings, self.batch_size = draw, settings, batch_size
        self.spec, self.size = spec, size

    def feed(self, key: Key, start: int, length: int) -> None:
        """Returns None: nothing is sent to the device."""

    def batch(self, key: Key, item: None) -> Batch:
        """Draws a batch."""
        return self.draw(key, self.batch_size, *self.settings)

    def tree_flatten(self):
        """Returns the settings as leaves, and everything else but the spec as static data."""
        return (self.settings,), (self.draw, self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: everything but the spec."""
        source = object.__new__(cls)
        (source.settings,), (source.draw, source.batch_size, source.size) = leaves, static
        return source
