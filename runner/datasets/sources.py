"""Where batches come from: arrays on the device, and samplers in the compiled step."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, Batch, Key, Spec
from runner.datasets.checks import check_described, checked


@jax.tree_util.register_pytree_node_class
class Arrays:
    """Rows held on the device; the host sends only their numbers.

    Shuffled, batch `t` takes rows `t * batch_size ...` of an endless row of permutations, one for each epoch,
    drawn by NumPy's Philox from the run's data key and the epoch: each epoch visits each row exactly once,
    whatever the batch size, and any batch is found without the ones before it. Unshuffled, rows come in order
    and the last batch of a pass is filled up from its beginning.

    Args:
        arrays: name -> rows `[N, ...]`, all of one length; copied.
        batch_size: rows a batch, or None for all of them, in order.
        spec: what the data says of itself; read off the rows unless given (held-out rows get that of the
            training rows).
        shuffle: whether each epoch has an order of its own.

    Raises:
        ValueError: no rows, arrays of different lengths, fewer rows than a batch, a value that is no finite
            number, a label outside the classes, or rows unlike those that the spec describes.
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
        """Gives row numbers `[length, batch_size]`."""
        first, last = start * self.batch_size, (start + length) * self.batch_size
        if not self.shuffle:
            return (np.arange(first, last) % self.size).astype(np.int32).reshape(length, -1)
        words = tuple(np.asarray(jax.random.key_data(key)).ravel().tolist())
        epochs = range(first // self.size, (last - 1) // self.size + 1)
        rows = np.concatenate([_permutation(words, epoch, self.size) for epoch in epochs])
        place = first - epochs.start * self.size
        return rows[place : place + last - first].reshape(length, -1)

    def batch(self, key: Key, item: jax.Array) -> Batch:
        """Takes rows by number."""
        return {name: rows[item] for name, rows in self.arrays.items()}

    def tree_flatten(self):
        """Gives the rows as leaves, the rest as static."""
        return (self.arrays,), (self.size, self.batch_size, self.shuffle)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: all but the spec."""
        source = object.__new__(cls)
        (source.arrays,), (source.size, source.batch_size, source.shuffle) = leaves, static
        return source


@functools.lru_cache(maxsize=4)
def _permutation(words: tuple[int, ...], epoch: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox((*words, epoch))).permutation(size).astype(np.int32)


@jax.tree_util.register_pytree_node_class
class Sampler:
    """Fresh batches drawn inside the compiled step.

    Args:
        draw: `draw(key, size, *settings) -> batch [size, ...]`, a function of a module, so that equal
            samplers share a compile.
        settings: arrays and numbers for `draw`, arguments of the compiled call.
        batch_size: examples a batch.
        spec: what the data says of itself.
        size: examples in one pass, for held-out data; None is endless.

    Raises:
        ValueError: a batch of less than one example.
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
        if batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} is less than 1")
        self.draw, self.settings, self.batch_size, self.spec, self.size = (
            draw,
            settings,
            batch_size,
            spec,
            size,
        )

    def feed(self, key: Key, start: int, length: int) -> None:
        """Sends nothing."""

    def batch(self, key: Key, item: None) -> Batch:
        """Draws a batch."""
        return self.draw(key, self.batch_size, *self.settings)

    def tree_flatten(self):
        """Gives the settings as leaves, the rest as static."""
        return (self.settings,), (self.draw, self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: all but the spec."""
        source = object.__new__(cls)
        (source.settings,), (source.draw, source.batch_size, source.size) = leaves, static
        return source
