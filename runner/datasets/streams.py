"""Sources of batches on the host: streams."""

import hashlib
import itertools
import logging
import math
import operator
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from runner.core import Batch, Key, Spec
from runner.core.bounds import check, count, optional
from runner.datasets.checks import check_described, checked

log = logging.getLogger("runner")
INEXACT = "the stream cannot start at batch {}: give a sequence, or a function of the start"


@jax.tree_util.register_pytree_node_class
class Stream:
    """Batches of the host, prefetched in a thread, in the order of their iterator.

    Args:
        batches: `batches(start) -> iterator` from batch `start` on, or a sequence of batches, which is repeated:
            both can be resumed. So can an iterable whose iterators have `get_state() -> JSON` and `set_state`. Any
            other iterable can only be started again, which happens when it ends; an iterator cannot. Each batch is a
            mapping of arrays with the shapes of the first batch; the last one of a pass of `size` rows may be shorter.
        spec: the spec of the data; None computes it from the first `measured` rows, which may lack a class.
        size: rows in one pass, or None: that of the length of `batches`, if it has one. An evaluation then takes one
            pass, and training counts epochs.
        measured: number of rows from which the spec is computed, in whole batches.
        ahead: number of batches to prefetch.
        known: arguments of `Spec.of` for what cannot be computed, such as `classes`.

    Raises:
        ValueError: the stream is empty, or its first batch is not a mapping of arrays of numbers.

    Attributes:
        resumable: whether the stream can start at any batch.
        exact: whether a run on this stream can be resumed exactly: it can start at any batch, or its iterators have a
            state.
        size: rows in one pass, or None if it is not known.
        digest: the SHA-256 of the first batch and the size, or empty if the first batch may differ from run to run.
    """

    def __init__(
        self,
        batches: Callable[[int], Iterator[Batch]] | Iterable[Batch],
        *,
        spec: Spec | None = None,
        size: int | None = None,
        measured: int = 1,
        ahead: int = 128,
        **known: object,
    ):
        check("ahead", ahead, count)
        check("size", size, optional(count))
        self.resumable = callable(batches) or isinstance(batches, Sequence)
        hint = operator.length_hint(batches)
        self._batches, self._ahead, self._lock = batches, ahead, threading.Lock()
        visited = _visit(batches, 0)
        first = next(visited, None)
        if first is None:
            raise ValueError("the stream of batches is empty")
        arrays = _arrays(first[0], 0)
        self.exact = self.resumable or first[1] is not None
        self._shapes = {name: rows.shape for name, rows in arrays.items()}
        self.batch_size = len(next(iter(arrays.values())))
        self.size = size or hint * self.batch_size or None
        self.digest = _digest(arrays, self.size) if self.exact else ""
        more = 0 if spec is not None else math.ceil(measured / self.batch_size) - 1
        taken = [first, *itertools.islice(visited, more)]
        self.spec = _describe(taken, **known) if spec is None else spec
        self._begin(itertools.chain(taken, visited), 0)

    def feed(self, key: Key, start: int, length: int) -> dict[str, np.ndarray]:
        """Returns the next batches, stacked: `[length, batch_size, ...]`.

        Raises:
            ValueError: the stream cannot start at batch `start`, has ended, or a batch does not match the first.
            Exception: anything that the user's iterator raises.
        """
        if start != self._next:
            is_iterator = isinstance(self._batches, Iterator)
            if not self.resumable and (is_iterator or start != 0):
                raise ValueError(INEXACT.format(start))
            self._fetched.close()
            self._begin(_visit(self._batches, start), start)
        self._next = None  # after an error the stream cannot continue
        taken = list(itertools.islice(self._fetched, length))
        if len(taken) < length:
            raise ValueError(f"the stream of batches ended before batch {start + len(taken)}")
        self._next = start + length
        self._positions = {start: self._positions.get(start), self._next: taken[-1][1]}
        return {name: np.stack([batch[name] for batch, _ in taken]) for name in taken[0][0]}

    def position(self, batch: int) -> object:
        """Returns the state of the iterator in front of batch `batch`, which JSON can represent, or None."""
        return self._positions.get(batch)

    def seek(self, batch: int, position: object) -> None:
        """Continues with batch `batch` of a run that is resumed, from the state that `position` returned then.

        A stream that is not `exact` starts from its beginning, which is logged as a warning.
        """
        if self.resumable:
            return
        if position is not None:
            self._fetched.close()
            self._begin(_visit(self._batches, batch, position), batch)
            self._positions = {batch: position}
            return
        log.warning(
            "warning: the data starts again from its first batch, because its stream cannot be resumed"
        )
        if self._next != 0:
            self._fetched.close()
            self._begin(_visit(self._batches, 0), 0)
        self._next = batch

    def _begin(self, batches: Iterator[tuple[Batch, object]], start: int) -> None:
        checked_batches = _check(batches, start, self._shapes, self.size, self.spec)
        self._fetched, self._next = _fetch(checked_batches, self._ahead, self._lock), start
        self._positions: dict[int, object] = {}

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


def _visit(
    batches: Callable[[int], Iterator[Batch]] | Iterable[Batch], start: int, position: object = None
) -> Iterator[tuple[Batch, object]]:
    """Yields batches from batch `start` on, each with the state of its iterator after it, if that has one.

    An iterable is started again at its end. The position is the state from which it continues.
    """
    if callable(batches):
        yield from ((batch, None) for batch in batches(start))
    elif isinstance(batches, Sequence):
        for number in itertools.count(start) if len(batches) else ():
            yield batches[number % len(batches)], None
    else:
        is_empty = False
        while not is_empty:
            iterator: Any = iter(batches)
            has_state = hasattr(iterator, "get_state") and hasattr(iterator, "set_state")
            if position is not None:
                iterator.set_state(position)
            is_empty, position = position is None, None  # what continues may be at the end of a pass
            for batch in iterator:
                is_empty = False
                yield batch, iterator.get_state() if has_state else None


def _describe(first: Sequence[tuple[Batch, object]], **known: object) -> Spec:
    """Returns the spec of the rows of the first batches, without those that do not match, which `_check` refuses."""
    batches = [_arrays(batch, number) for number, (batch, _) in enumerate(first)]
    form = lambda batch: {name: rows.shape[1:] for name, rows in batch.items()}
    batches = [batch for batch in batches if form(batch) == form(batches[0])]
    return Spec.of({name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}, **known)


def _digest(arrays: Mapping[str, np.ndarray], size: int | None) -> str:
    sha = hashlib.sha256(f"{size}".encode())
    for name, rows in arrays.items():
        sha.update(f"{name} {rows.shape} {rows.dtype}".encode() + rows.tobytes())
    return sha.hexdigest()


def _arrays(batch: Batch, number: int) -> dict[str, np.ndarray]:
    """Copies a batch, because a loader may overwrite its memory."""
    if not isinstance(batch, Mapping):
        raise ValueError(
            f"batch {number} of the stream is a {type(batch).__name__}; need a mapping name -> array"
        )
    return checked(batch, f"batch {number} of the stream, ")


def _check(
    batches: Iterator[tuple[Batch, object]], start: int, shapes: Mapping, size: int | None, spec: Spec
) -> Iterator[tuple[Batch, object]]:
    """Yields copies of batches, numbered from `start`, and checks that they have the shapes of the first.

    The last batch of a pass is filled up with its own rows if it has the rows that are left of `size`.
    """
    rows = next(iter(shapes.values()))[0]
    passed, left = (0, 0) if size is None else (math.ceil(size / rows), size % rows)
    for number, (batch, position) in enumerate(batches, start):
        arrays = _arrays(batch, number)
        if left and number % passed == passed - 1 and len(next(iter(arrays.values()))) == left:
            arrays = {name: values[np.arange(rows) % left] for name, values in arrays.items()}
        actual = {name: values.shape for name, values in arrays.items()}
        if actual != shapes:
            raise ValueError(f"batch {number} of the stream has shapes {actual}; the first has {shapes}")
        check_described(arrays, spec, f"batch {number} of the stream, ")
        yield arrays, position


def _fetch(
    batches: Iterator[tuple[Batch, object]], ahead: int, lock: threading.Lock
) -> Generator[tuple[Batch, object]]:
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
