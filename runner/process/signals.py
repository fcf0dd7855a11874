"""Handling of the signals that ask for an end: the first one requests to save and stop, a later one exits at once.

These are SIGINT and SIGTERM, SIGHUP of a closed terminal, and SIGUSR1 and SIGUSR2 of schedulers. One request may arrive
as several signals: GNU timeout signals the process and then its group, and programs such as `uv run` forward a Ctrl-C
that the terminal has already delivered. So a signal that follows the first one within `APART` seconds is the same
request.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from time import monotonic
from typing import Any, TextIO

from runner.process.terminal import say

ALWAYS = signal.SIGINT, signal.SIGTERM
# Handled unless another program has decided about them: nohup ignores SIGHUP, and a launcher may handle SIGUSR1.
BY_DEFAULT = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
APART = 1.5  # seconds between two requests
PATIENCE = 30.0  # seconds that a requested stop waits for a process that neither computes nor saves
IDLE = 0.1  # the part of one core below which a process does not compute; a progress bar takes less
_END = b"\0"  # not the number of a signal
_received: list[int] = []
_entered: list[tuple[int, dict[int, Any]]] = []  # the wakeup fd and the handlers before each `listening`
_saving: list[object] = []  # an entry for each save in progress


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Handles the signals as a request to stop; only in the main thread.

    SIGINT and SIGTERM are always handled, even if the parent process ignored SIGINT. The others are left alone if they
    are ignored, or have a handler already. A thread records the signals, because Python calls a handler only after the
    main thread returns from a compile. It ends the process if that does nothing for `PATIENCE` seconds after a request,
    for example because it reads from a file system that does not answer.
    """
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True)
    watcher.start()
    wakeup = signal.set_wakeup_fd(writer)
    free = [number for number in BY_DEFAULT if signal.getsignal(number) == signal.SIG_DFL]
    _entered.append((wakeup, {number: signal.signal(number, _ignore) for number in (*ALWAYS, *free)}))
    try:
        yield
    finally:
        _restore()
        os.write(writer, _END)
        watcher.join()
        os.close(reader)
        os.close(writer)


def leave_at_once() -> None:
    """Restores the default handlers, so that the first signal ends the process; for commands without a run to save."""
    if threading.current_thread() is threading.main_thread():
        for number in {*ALWAYS, *(number for _, handlers in _entered for number in handlers)}:
            signal.signal(number, signal.SIG_DFL)


def asked() -> bool:
    """Returns whether a signal has requested to save and stop."""
    return bool(_received)


def exit_code() -> int:
    """Returns the exit code of a stopped command: 128 and the number of the signal, as in shells, such as 130."""
    return 128 + (_received[0] if _received else signal.SIGINT)


@contextlib.contextmanager
def saving() -> Iterator[None]:
    """Marks a save in progress, for which a requested stop waits, however long the disk takes."""
    _saving.append(None)
    try:
        yield
    finally:
        _saving.pop()


def _watch(reader: int) -> None:
    first = 0.0
    while (byte := _next(reader)) != _END:
        number = byte[0]
        if signal.getsignal(number) is not _ignore:
            continue
        if not _received:
            first = monotonic()
            _received.append(number)
            _tell(
                "stopping: the state is saved at the end of the running steps;"
                f" a second signal, {APART} seconds later, exits at once",
                sys.stdout,
            )
        elif monotonic() - first >= APART:
            os._exit(128 + number)


def _next(reader: int) -> bytes:
    """Waits for a byte; after a request, ends the process when it has done nothing for `PATIENCE` seconds."""
    idle, turn = 0, PATIENCE / 10
    while True:
        used = time.process_time()
        if select.select([reader], [], [], turn)[0]:
            return os.read(reader, 1)
        is_idle = time.process_time() - used < IDLE * turn and not _saving
        idle = idle + 1 if is_idle and _received else 0
        if idle == 10:
            _tell(
                f"error: stopped without a save: nothing has happened for {PATIENCE:g} seconds; does a file system,"
                " such as that of the data or of RUNNER_CACHE, still answer?",
                sys.stderr,
            )
            os._exit(exit_code())


def _tell(line: str, file: TextIO) -> None:
    """Prints a line, and waits for that no longer than a second: its reader may have stopped to read."""
    telling = threading.Thread(target=say, args=(line, file), daemon=True)
    telling.start()
    telling.join(1)


def _ignore(number: int, frame: object) -> None:
    """Does nothing; the watcher thread records the signal."""


def _restore() -> None:
    wakeup, handlers = _entered.pop()
    signal.set_wakeup_fd(wakeup)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _restore_all() -> None:
    while _entered:
        _restore()


os.register_at_fork(after_in_child=_restore_all)  # a signal to a forked worker does not stop its parent
