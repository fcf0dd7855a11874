"""A single batch, repeated: a net must be able to learn it by heart."""

import jax
import numpy as np

from runner.core import Batch, Key, PyTree, Source


@jax.tree_util.register_pytree_node_class
class FirstBatch:
    """Repeats the first batch of another source."""

    def __init__(self, source: Source):
        self.source = source
        self.spec, self.batch_size, self.size = source.spec, source.batch_size, source.batch_size

    def feed(self, key: Key, start: int, length: int) -> PyTree:
        """Returns the item and the key of the first batch `length` times."""
        item = (
            self.source.feed(key, 0, 1),
            np.asarray(jax.random.key_data(jax.random.fold_in(key, 0)))[None],
        )
        return jax.tree.map(lambda rows: np.repeat(rows, length, axis=0), item)

    def batch(self, key: Key, item: PyTree) -> Batch:
        """Returns the first batch, whatever the key."""
        inner, words = item
        return self.source.batch(jax.random.wrap_key_data(words), inner)

    def tree_flatten(self):
        """Returns the source as a leaf, and the batch size as static data."""
        return (self.source,), (self.batch_size,)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: everything but the spec."""
        source = object.__new__(cls)
        (source.source,), (source.batch_size,) = leaves, static
        return source
