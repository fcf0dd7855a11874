"""No data, for algorithms that make their own."""

import jax

from runner.core import Batch, Dataset, Key, Spec


@jax.tree_util.register_static
class Nothing:
    """Gives batches `{}` without end."""

    spec, batch_size, size = Spec({}), 1, None

    def feed(self, key: Key, start: int, length: int) -> None:
        """Sends nothing."""

    def batch(self, key: Key, item: None) -> Batch:
        """Gives a batch without arrays."""
        return {}

    def __eq__(self, other: object) -> bool:
        """Each is like any other, so that runs share what is compiled."""
        return isinstance(other, Nothing)

    def __hash__(self) -> int:
        """Goes with equality."""
        return hash(Nothing)


def nothing() -> Dataset:
    """Gives a dataset without data, as reinforcement learning takes it."""
    return Dataset(Nothing(), Nothing(), Nothing())
