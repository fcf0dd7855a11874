"""Handling of SIGINT and SIGTERM: the first one requests to save and stop, a later one exits at once.

One request may arrive as several signals: GNU timeout signals the process and then its group, and programs such as `uv
run` forward a Ctrl-C that the terminal has already delivered. So a signal that follows the first one within `APART`
seconds is the same request.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

from runner.process.terminal import say

SIGNALS = signal.SIGINT, signal.SIGTERM
APART = 1.5  # seconds between two requests
_END = b"\0"  # not the number of a signal
_received: list[int] = []
_previous: dict[int, Any] = {}  # the handlers of the caller, during `listening`


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Handles both signals as a request to stop, even if the parent process ignored SIGINT; only in the main thread.

    A thread records the signals, because Python calls a handler only after the main thread returns from a compile.
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
    _previous.update({number: signal.signal(number, _ignore) for number in SIGNALS})
    try:
        yield
    finally:
        _restore(wakeup)
        os.write(writer, _END)
        watcher.join()
        os.close(reader)
        os.close(writer)


def leave_at_once() -> None:
    """Restores the default handlers, so that the first signal ends the process; for commands without a run to save."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def asked() -> bool:
    """Returns whether a signal has requested to save and stop."""
    return bool(_received)


def exit_code() -> int:
    """Returns the exit code of a stopped command: 130 after SIGINT and 143 after SIGTERM, as in shells."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def _watch(reader: int) -> None:
    first = 0.0
    for byte in iter(lambda: os.read(reader, 1), _END):
        number = byte[0]
        if number not in _previous:
            continue
        if not _received:
            first = monotonic()
            _received.append(number)
            say(
                "stopping: the state is saved at the end of the running steps;"
                f" a second signal, {APART} seconds later, exits at once"
            )
        elif monotonic() - first >= APART:
            os._exit(128 + number)


def _ignore(number: int, frame: object) -> None:
    """Does nothing; the watcher thread records the signal."""


def _restore(wakeup: int = -1) -> None:
    if _previous:
        signal.set_wakeup_fd(wakeup)
    while _previous:
        signal.signal(*_previous.popitem())


os.register_at_fork(after_in_child=_restore)  # a signal to a forked worker does not stop its parent
