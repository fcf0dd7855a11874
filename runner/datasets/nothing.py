"""No data, for algorithms that generate their own."""

import jax

from runner.core import Batch, Dataset, Key, Spec


@jax.tree_util.register_static
class Nothing:
    """An endless source of empty batches `{}`."""

    spec, batch_size, size = Spec({}), 1, None

    def feed(self, key: Key, start: int, length: int) -> None:
        """Returns None: nothing is sent to the device."""

    def batch(self, key: Key, item: None) -> Batch:
        """Returns a batch without arrays."""
        return {}

    def __eq__(self, other: object) -> bool:
        """Returns whether the other is a `Nothing` too; all are equal, so that runs share compiled programs."""
        return isinstance(other, Nothing)

    def __hash__(self) -> int:
        """Returns the same hash for all."""
        return hash(Nothing)


def nothing() -> Dataset:
    """Returns a dataset without data, for reinforcement learning."""
    return Dataset(Nothing(), Nothing(), Nothing())
