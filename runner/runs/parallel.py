"""Many runs in one process: each in a thread, all on the same compiled programs."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import Stopped, describe
from runner.process.memory import available_memory
from runner.writers.board import Board


class Prepared(NamedTuple):
    """A run that is built, and where it is to train."""

    training: Any
    directory: Path


class Outcome(NamedTuple):
    """How a member ended: the best value of the metric it followed, or an error."""

    value: float | None = None
    error: BaseException | None = None


def run_members(
    names: Sequence[str],
    prepare: Callable[[int], Prepared | None],
    stop: Callable[[], bool],
    threads: int | None = None,
) -> list[Outcome | None]:
    """Runs members, some at a time; one that fails harms no other.

    Args:
        names: of each member, for who watches.
        prepare: builds a member, by its number, or gives None where that was all there was to do; called for
            one after another, in this thread, each when there is room for it.
        stop: returns whether to save and stop all members.
        threads: how many train at once, or None for one on each core; fewer, where memory does not hold them.

    Returns:
        How each ended; None where preparing was all there was to do.

    Raises:
        Stopped: by a signal, after every member has saved and stopped.
    """
    threads = threads or os.cpu_count() or 1
    outcomes: list[Outcome | None] = [None] * len(names)
    room = _Room(threads + 1, available_memory())

    def end(number: int, outcome: Outcome, told: str) -> None:
        outcomes[number] = outcome
        board.ended(names[number], told)

    def run(number: int, prepared: Prepared) -> None:
        try:
            value = prepared.training.run(prepared.directory, board.progress(names[number]), stop)
        except BaseException as error:
            end(number, Outcome(error=error), describe(error))
        else:
            best = "" if value is None else f"best {value:.4g}  "
            end(number, Outcome(value), f"{best}{prepared.directory}")

    with Board(len(names)) as board, ThreadPoolExecutor(threads) as pool:
        for number in range(len(names)):
            room.wait()
            if stop():
                break
            try:
                prepared = prepare(number)
            except Exception as error:
                end(number, Outcome(error=error), describe(error))
                continue
            if prepared is not None:
                size = prepared.training.memory
                room.take(size)
                pool.submit(run, number, prepared).add_done_callback(lambda _, size=size: room.leave(size))
                del prepared  # what it holds is its thread's alone
    if stop():
        raise Stopped(f"{outcomes.count(None)} of {len(names)} runs were not begun, the others are saved")
    return outcomes


class _Room:
    """How many members there may be, and how many bytes they may take; one alone may always be."""

    def __init__(self, places: int, size: float):
        self._places, self._size, self._changed = places, size, threading.Condition()
        self._members = 0

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._places > 0)

    def take(self, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size >= size or not self._members)
            self._places, self._size, self._members = self._places - 1, self._size - size, self._members + 1

    def leave(self, size: int) -> None:
        with self._changed:
            self._places, self._size, self._members = self._places + 1, self._size + size, self._members - 1
            self._changed.notify_all()
