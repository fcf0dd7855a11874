"""Where batches come from: streams of the host."""

import itertools
import operator
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

import jax
import numpy as np

from runner.core import Batch, Key, Spec
from runner.datasets.checks import check_described, checked


@jax.tree_util.register_pytree_node_class
class Stream:
    """Batches of the host, fetched ahead in a thread; only their own iterator decides their order.

    Args:
        batches: `batches(start) -> iterator` from batch `start` on, or a sequence of batches (visited again
            and again): both can be resumed. Any other iterable can only be begun again, which it is when it
            ends, and an iterator not even that. All are mappings of arrays with the shapes of the first.
        spec: what the data says of itself; read off the first batch unless given, which may lack a class.
        ahead: how many batches are held ready.

    Raises:
        ValueError: the stream is empty, or its first batch is no mapping of arrays of numbers.

    Attributes:
        resumable: whether the stream can start at any batch.
        size: rows in one pass, or None where the batches have no count.
    """

    def __init__(
        self,
        batches: Callable[[int], Iterator[Batch]] | Iterable[Batch],
        *,
        spec: Spec | None = None,
        ahead: int = 128,
    ):
        if ahead < 1:
            raise ValueError(f"ahead: {ahead} is less than 1")
        self.resumable = callable(batches) or isinstance(batches, Sequence)
        passed = operator.length_hint(batches)
        self._batches, self._ahead, self._turn = batches, ahead, threading.Lock()
        visited = _visit(batches, 0)
        first = next(visited, None)
        if first is None:
            raise ValueError("the stream of batches is empty")
        arrays = _arrays(first, 0)
        self._shapes = {name: rows.shape for name, rows in arrays.items()}
        self.batch_size = len(next(iter(arrays.values())))
        self.size = passed * self.batch_size or None
        self.spec = Spec.of(arrays) if spec is None else spec
        self._begin(itertools.chain([first], visited), 0)

    def feed(self, key: Key, start: int, length: int) -> dict[str, np.ndarray]:
        """Gives the next batches, stacked: `[length, batch_size, ...]`.

        Raises:
            ValueError: the stream cannot start at batch `start`, has ended, or a batch is unlike the first.
            Exception: whatever the user's iterator raises.
        """
        if start != self._next:
            once = isinstance(self._batches, Iterator)
            if not self.resumable and (once or start != 0):
                raise ValueError(
                    f"the stream cannot start at batch {start}: give a sequence, or a function of the start"
                )
            self._fetched.close()
            self._begin(_visit(self._batches, start), start)
        self._next = None  # after an error there is nothing to go on with
        taken = list(itertools.islice(self._fetched, length))
        if len(taken) < length:
            raise ValueError(f"the stream of batches ended before batch {start + len(taken)}")
        self._next = start + length
        return {name: np.stack([batch[name] for batch in taken]) for name in taken[0]}

    def _begin(self, batches: Iterator[Batch], start: int) -> None:
        alike = _alike(batches, start, self._shapes, self.spec)
        self._fetched, self._next = _fetch(alike, self._ahead, self._turn), start

    def batch(self, key: Key, item: Batch) -> Batch:
        """Passes the batch on."""
        return item

    def tree_flatten(self):
        """Has no leaves."""
        return (), (self.batch_size, self.size)

    @classmethod
    def tree_unflatten(cls, static, leaves):
        """Rebuilds what the compiled call needs: nothing but the counts."""
        source = object.__new__(cls)
        source.batch_size, source.size = static
        return source


def _visit(batches: Callable[[int], Iterator[Batch]] | Iterable[Batch], start: int) -> Iterator[Batch]:
    """Goes through batches from batch `start` on, again and again where they can be gone through again."""
    if callable(batches):
        yield from batches(start)
    elif isinstance(batches, Sequence):
        for place in itertools.count(start) if len(batches) else ():
            yield batches[place % len(batches)]
    else:
        while (first := next(once := iter(batches), None)) is not None:
            yield first
            yield from once


def _arrays(batch: Batch, number: int) -> dict[str, np.ndarray]:
    """Copies a batch, for a loader may fill the same memory again."""
    if not isinstance(batch, Mapping):
        raise ValueError(
            f"batch {number} of the stream is a {type(batch).__name__}; need a mapping name -> array"
        )
    return checked(batch, f"batch {number} of the stream, ")


def _alike(batches: Iterator[Batch], start: int, shapes: Mapping, spec: Spec) -> Iterator[Batch]:
    """Copies batches, from number `start` on, and holds them to the shapes of the first."""
    for number, batch in enumerate(batches, start):
        arrays = _arrays(batch, number)
        found = {name: rows.shape for name, rows in arrays.items()}
        if found != shapes:
            raise ValueError(f"batch {number} of the stream has shapes {found}; the first has {shapes}")
        check_described(arrays, spec, f"batch {number} of the stream, ")
        yield arrays


def _fetch(batches: Iterator[Batch], ahead: int, turn: threading.Lock) -> Generator[Batch]:
    """Yields batches that a thread fetches, up to `ahead` of them before they are asked for.

    An error comes in its place. The thread ends when this generator is closed, or dropped with its owner.
    """
    # Simple queues, for the garbage collector may close this generator in the midst of any other call.
    fetched, room, closed = queue.SimpleQueue(), queue.SimpleQueue(), threading.Event()
    for _ in range(ahead - 1):
        room.put(None)

    def fetch():
        try:
            with turn:  # a thread before this one may still be in the user's code
                for batch in batches:
                    fetched.put(batch)
                    room.get()
                    if closed.is_set():
                        return
            fetched.put(None)
        except BaseException as error:
            fetched.put(error)

    threading.Thread(target=fetch, name="stream", daemon=True).start()
    try:
        while (found := fetched.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            room.put(None)
            yield found
    finally:
        closed.set()
        room.put(None)
