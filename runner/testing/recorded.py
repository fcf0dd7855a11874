"""What the short runs of checks train on, save to and write to."""

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Batch, Figures, Key, Metrics, PyTree, Source
from runner.storage.checkpoints import Checkpoints

DATA_KEY = 7  # of the batches, which are the same in all runs of a subject


@jax.tree_util.register_pytree_node_class
class Recorded:
    """The first batches of a source, repeated without end; one of them may be replaced by zeros.

    Args:
        source: any source; read once, so that a stream may be one that cannot start again.
        count: the number of batches.
        order: the number of the batch to take in place of batch n, for an array of numbers.
        blank: the number of the batch whose rows are replaced by zeros, or None.
    """

    def __init__(self, source: Source, count: int):
        self.source, self.count, self.key = source, count, jax.random.key(DATA_KEY)
        self.spec, self.batch_size, self.size = source.spec, source.batch_size, source.size
        self.items = jax.tree.map(np.asarray, source.feed(self.key, 0, count))
        self.period, self.blank = count, None

    def changed(self, period: int | None = None, blank: int | None = None) -> "Recorded":
        """Returns the same batches: only the first ones, again and again, or one of them with zeros."""
        new = object.__new__(Recorded)
        vars(new).update(vars(self), period=period or self.count, blank=blank)
        return new

    def feed(self, key: Key, start: int, length: int) -> PyTree:
        """Returns the items of the batches, their numbers, and whether each is blank."""
        numbers = np.arange(start, start + length)
        rows = numbers % self.period
        items = jax.tree.map(lambda values: values[rows], self.items)
        return items, rows.astype(np.int32), numbers == self.blank

    def batch(self, key: Key, item: PyTree) -> Batch:
        """Returns a batch, which does not depend on the key of the run."""
        inner, number, blank = item
        rows = self.source.batch(jax.random.fold_in(self.key, number), inner)
        return {name: jnp.where(blank, jnp.zeros_like(values), values) for name, values in rows.items()}

    def tree_flatten(self):
        """Returns the source and the key as leaves."""
        return (self.source, self.key), None

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs."""
        made = object.__new__(cls)
        made.source, made.key = leaves
        return made


class Untied(Checkpoints):
    """Checkpoints whose arrays are not tied to a device, as those of a first state, so that they share its programs."""

    def restore(self, template: PyTree, step: int | None = None) -> tuple[int, PyTree, dict] | None:
        """Returns the newest step, its state and what else was saved, or None if nothing is."""
        found = super().restore(template, step)
        return found and (found[0], jax.tree.map(jnp.asarray, jax.device_get(found[1])), found[2])


class Rows:
    """A writer that keeps the records of a run."""

    def __init__(self):
        self.records: list[Metrics] = []

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Keeps the metrics."""
        if metrics:
            self.records.append(metrics)

    def close(self) -> None:
        """Does nothing."""
