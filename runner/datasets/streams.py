"""Sources of batches on the host: streams."""

import itertools
import operator
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

import jax
import numpy as np

from runner.core import Batch, Key, Spec
from runner.core.bounds import check, count
from runner.datasets.checks import check_described, checked


@jax.tree_util.register_pytree_node_class
class Stream:
    """Batches of the host, prefetched in a thread, in the order of their iterator.

    Args:
        batches: `batches(start) -> iterator` from batch `start` on, or a sequence of batches, which is repeated:
            both can be resumed. Any other iterable can only be started again, which happens when it ends; an iterator
            cannot. Each batch is a mapping of arrays with the shapes of the first batch.
        spec: the spec of the data; if it is None, it is computed from the first batch, which may lack a class.
        ahead: number of batches to prefetch.

    Raises:
        ValueError: the stream is empty, or its first batch is not a mapping of arrays of numbers.

    Attributes:
        resumable: whether the stream can start at any batch.
        size: rows in one pass, or None if the number of batches is not known.
    """

    def __init__(
        self,
        batches: Callable[[int], Iterator[Batch]] | Iterable[Batch],
        *,
        spec: Spec | None = None,
        ahead: int = 128,
    ):
        check("ahead", ahead, count)
        self.resumable = callable(batches) or isinstance(batches, Sequence)
        known = operator.length_hint(batches)
        self._batches, self._ahead, self._lock = batches, ahead, threading.Lock()
        visited = _visit(batches, 0)
        first = next(visited, None)
        if first is None:
            raise ValueError("the stream of batches is empty")
        arrays = _arrays(first, 0)
        self._shapes = {name: rows.shape for name, rows in arrays.items()}
        self.batch_size = len(next(iter(arrays.values())))
        self.size = known * self.batch_size or None
        self.spec = Spec.of(arrays) if spec is None else spec
        self._begin(itertools.chain([first], visited), 0)

    def feed(self, key: Key, start: int, length: int) -> dict[str, np.ndarray]:
        """Returns the next batches, stacked: `[length, batch_size, ...]`.

        Raises:
            ValueError: the stream cannot start at batch `start`, has ended, or a batch does not match the first.
            Exception: anything that the user's iterator raises.
        """
        if start != self._next:
            is_iterator = isinstance(self._batches, Iterator)
            if not self.resumable and (is_iterator or start != 0):
                raise ValueError(
                    f"the stream cannot start at batch {start}: give a sequence, or a function of the start"
                )
            self._fetched.close()
            self._begin(_visit(self._batches, start), start)
        self._next = None  # after an error the stream cannot continue
        taken = list(itertools.islice(self._fetched, length))
        if len(taken) < length:
            raise ValueError(f"the stream of batches ended before batch {start + len(taken)}")
        self._next = start + length
        return {name: np.stack([batch[name] for batch in taken]) for name in taken[0]}

    def _begin(self, batches: Iterator[Batch], start: int) -> None:
        checked_batches = _check(batches, start, self._shapes, self.spec)
        self._fetched, self._next = _fetch(checked_batches, self._ahead, self._lock), start

    def batch(self, key: Key, item: Batch) -> Batch:
        """Returns the item, which is the batch."""
        return item

    def tree_flatten(self):
        """Returns no leaves, and the counts as static data."""
        return (), (self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: only the counts."""
        source = object.__new__(cls)
        source.batch_size, source.size = static
        return source


def _visit(batches: Callable[[int], Iterator[Batch]] | Iterable[Batch], start: int) -> Iterator[Batch]:
    """Yields batches from batch `start` on, and starts again at the end if that is possible."""
    if callable(batches):
        yield from batches(start)
    elif isinstance(batches, Sequence):
        for number in itertools.count(start) if len(batches) else ():
            yield batches[number % len(batches)]
    else:
        while (first := next(iterator := iter(batches), None)) is not None:
            yield first
            yield from iterator


def _arrays(batch: Batch, number: int) -> dict[str, np.ndarray]:
    """Copies a batch, because a loader may overwrite its memory."""
    if not isinstance(batch, Mapping):
        raise ValueError(
            f"batch {number} of the stream is a {type(batch).__name__}; need a mapping name -> array"
        )
    return checked(batch, f"batch {number} of the stream, ")


def _check(batches: Iterator[Batch], start: int, shapes: Mapping, spec: Spec) -> Iterator[Batch]:
    """Yields copies of batches, numbered from `start`, and checks that they have the shapes of the first."""
    for number, batch in enumerate(batches, start):
        arrays = _arrays(batch, number)
        actual = {name: rows.shape for name, rows in arrays.items()}
        if actual != shapes:
            raise ValueError(f"batch {number} of the stream has shapes {actual}; the first has {shapes}")
        check_described(arrays, spec, f"batch {number} of the stream, ")
        yield arrays


def _fetch(batches: Iterator[Batch], ahead: int, lock: threading.Lock) -> Generator[Batch]:
    """Yields batches that a thread prefetches, up to `ahead` of them.

    An error of the iterator is raised after the batches before it. The thread ends when this generator is closed, or
    garbage-collected with its owner.
    """
    # Simple queues are reentrant: the garbage collector may close this generator in the middle of any other call.
    fetched, slots, closed = queue.SimpleQueue(), queue.SimpleQueue(), threading.Event()
    for _ in range(ahead - 1):
        slots.put(None)

    def fetch():
        try:
            with lock:  # an earlier thread may still be in the user's code
                for batch in batches:
                    fetched.put(batch)
                    slots.get()
                    if closed.is_set():
                        return
            fetched.put(None)
        except BaseException as error:
            fetched.put(error)

    threading.Thread(target=fetch, name="stream", daemon=True).start()
    try:
        while (batch := fetched.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            slots.put(None)
            yield batch
    finally:
        closed.set()
        slots.put(None)
