"""Many runs in one process: each in a thread, all with the same compiled programs."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import Stopped, describe
from runner.process.memory import available_memory
from runner.writers.board import Board

if TYPE_CHECKING:
    from runner.runs.training import Training


class Prepared(NamedTuple):
    """A run that is built, and the directory in which it will train."""

    training: "Training"
    directory: Path


class Outcome(NamedTuple):
    """The result of a member: the best value of the metric of `loop.best`, or an error."""

    value: float | None = None
    error: BaseException | None = None


def run_members(
    names: Sequence[str],
    prepare: Callable[[int], Prepared | None],
    stop: Callable[[], bool],
    threads: int | None = None,
) -> list[Outcome | None]:
    """Runs members, several at a time; the failure of one does not affect the others.

    Args:
        names: the names of the members, shown on the terminal.
        prepare: builds a member, by its number, or returns None if nothing is left to do for it. It is called for
            one member after another, in this thread, when a thread is free.
        stop: returns whether to save and stop all members.
        threads: the number of members that train at once, or None for one per core; fewer if memory is short.

    Returns:
        The outcome of each member; None for members without training, and for members that were not started.

    Raises:
        Stopped: `stop` returned true; every member has saved and stopped.
    """
    threads = threads or os.cpu_count() or 1
    with Board(len(names)) as board, ThreadPoolExecutor(threads) as pool:
        members = _Members(names, stop, board, pool, _Budget(threads + 1, available_memory()))
        for number in range(len(names)):
            members.budget.wait()
            if stop():
                break
            members.start(number, prepare)
    if stop():
        count = members.outcomes.count(None)
        raise Stopped(f"{count} of {len(names)} runs were not started, the others are saved")
    return members.outcomes


class _Members:
    """Members that train in threads of a pool, and their outcomes."""

    def __init__(
        self,
        names: Sequence[str],
        stop: Callable[[], bool],
        board: Board,
        pool: ThreadPoolExecutor,
        budget: "_Budget",
    ):
        self._names, self._stop, self._board, self._pool, self.budget = names, stop, board, pool, budget
        self.outcomes: list[Outcome | None] = [None] * len(names)

    def start(self, number: int, prepare: Callable[[int], Prepared | None]) -> None:
        """Builds a member, and trains it in another thread, which then alone holds its arrays."""
        try:
            prepared = prepare(number)
        except Exception as error:
            return self._end(number, Outcome(error=error), describe(error))
        if prepared is not None:
            size = prepared.training.memory
            self.budget.take(size)
            future = self._pool.submit(self._train, number, prepared)
            future.add_done_callback(lambda _: self.budget.release(size))

    def _train(self, number: int, prepared: Prepared) -> None:
        progress = self._board.progress(self._names[number])
        try:
            value = prepared.training.run(prepared.directory, progress, self._stop)
        except BaseException as error:
            self._end(number, Outcome(error=error), describe(error))
        else:
            best = "" if value is None else f"best {value:.4g}  "
            self._end(number, Outcome(value), f"{best}{prepared.directory}")

    def _end(self, number: int, outcome: Outcome, message: str) -> None:
        self.outcomes[number] = outcome
        self._board.ended(self._names[number], message)


class _Budget:
    """The number of members that may still start, and the bytes that are free; a single member may always start."""

    def __init__(self, members: int, size: float):
        self._free, self._size, self._changed = members, size, threading.Condition()
        self._members = 0

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0)

    def take(self, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size >= size or not self._members)
            self._free, self._size, self._members = self._free - 1, self._size - size, self._members + 1

    def release(self, size: int) -> None:
        with self._changed:
            self._free, self._size, self._members = self._free + 1, self._size + size, self._members - 1
            self._changed.notify_all()
