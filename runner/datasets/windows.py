"""Windows of one long sequence of tokens."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, Batch, Dataset, Feature, Key, Spec
from runner.core.bounds import check, count
from runner.datasets.sources import Arrays

HELD_OUT_BATCH = 64  # windows; it changes the speed of an evaluation, not its result


@jax.tree_util.register_pytree_node_class
class Windows:
    """Windows x `[B, length]` of a text on the device, with the next token at each position as y.

    If shuffled, a window may start at any token, and each epoch visits each start once, in its own random order.
    Otherwise windows follow each other without overlap, so that each token is predicted once; the last tokens, if they
    are too few for a window, are left out.

    Args:
        tokens: the text, whole numbers [N].
        length: tokens per window.
        batch_size: windows per batch.
        spec: the spec of the data.
        shuffle: whether each epoch has its own random order.

    Raises:
        ValueError: `batch_size` is more than the number of windows.
    """

    def __init__(self, tokens: Array, length: int, batch_size: int, *, spec: Spec, shuffle: bool = True):
        starts = np.arange(0, len(tokens) - length, 1 if shuffle else length, dtype=np.int32)
        self._starts = Arrays({"start": starts}, batch_size, shuffle=shuffle)
        self.tokens, self.length, self.spec = jnp.asarray(tokens, jnp.int32), length, spec
        self.batch_size, self.size = self._starts.batch_size, self._starts.size

    def feed(self, key: Key, start: int, length: int) -> np.ndarray:
        """Returns the numbers of windows `[length, batch_size]`."""
        return self._starts.feed(key, start, length)

    def batch(self, key: Key, item: jax.Array) -> Batch:
        """Returns the windows with the given numbers."""
        start = self._starts.batch(key, item)["start"]
        windows = self.tokens[start[:, None] + jnp.arange(self.length + 1)[None]]
        return {"x": windows[:, :-1], "y": windows[:, 1:]}

    def tree_flatten(self):
        """Returns the tokens and the starts as leaves, and the sizes as static data."""
        return (self.tokens, self._starts), (self.length, self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: everything but the spec."""
        source = object.__new__(cls)
        source.tokens, source._starts = leaves
        source.length, source.batch_size, source.size = static
        return source


def dataset_of(parts: Mapping[Any, np.ndarray], length: int, batch_size: int, **known) -> Dataset:
    """Creates the sources of a text in parts named train, validation and test; `known` is passed to `Spec`.

    Raises:
        ValueError: `length` is less than 1, or a part is too short for a window.
    """
    check("length", length, count)
    refuse_short({name: len(tokens) for name, tokens in parts.items()}, length)
    row = Feature((length,), "int32")
    spec = Spec({"x": row, "y": row}, **known)
    held_out = [
        Windows(tokens, length, min(HELD_OUT_BATCH, (len(tokens) - 1) // length), spec=spec, shuffle=False)
        for tokens in (parts["validation"], parts["test"])
    ]
    return Dataset(Windows(parts["train"], length, batch_size, spec=spec), *held_out)


def refuse_short(sizes: Mapping[str, int], length: int) -> None:
    """Raises ValueError if a part has too few tokens for a window."""
    for name, size in sizes.items():
        if size <= length:
            raise ValueError(
                f"length: the {name} part has {size} tokens, too few for a window of {length} and the next:"
                " take a smaller length, or a longer text"
            )
