"""The first SIGINT or SIGTERM asks what runs to save and stop; a second one leaves at once."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from runner.process.terminal import say

SIGNALS = signal.SIGINT, signal.SIGTERM
_END = b"\0"  # which is no signal
_received: list[int] = []
_before: dict[int, Any] = {}  # the handlers of whoever called, while somebody listens


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Takes both signals as a request, even where the parent had SIGINT ignored; only the main thread can.

    A thread takes note of them, for Python calls a handler only once the main thread is back from a compile.
    """
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = threading.Thread(target=_watch, args=(reader,), name="signals", daemon=True)
    watcher.start()
    woken = signal.set_wakeup_fd(writer)
    _before.update({number: signal.signal(number, _ignore) for number in SIGNALS})
    try:
        yield
    finally:
        _restore(woken)
        os.write(writer, _END)
        watcher.join()
        os.close(reader)
        os.close(writer)


def leave_at_once() -> None:
    """Lets the first signal end the process: there is no run to be saved."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def asked() -> bool:
    """Tells whether to save and stop."""
    return bool(_received)


def exit_code() -> int:
    """Gives 130 after SIGINT and 143 after SIGTERM, as shells do."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def _watch(reader: int) -> None:
    for byte in iter(lambda: os.read(reader, 1), _END):
        number = byte[0]
        if number not in _before:
            continue
        if _received:
            os._exit(128 + number)
        _received.append(number)
        say("stopping: the state is saved at the end of the running steps; once more leaves at once")


def _ignore(number: int, frame: object) -> None:
    """Lets the watcher take note."""


def _restore(woken: int = -1) -> None:
    if _before:
        signal.set_wakeup_fd(woken)
    while _before:
        signal.signal(*_before.popitem())


os.register_at_fork(after_in_child=_restore)  # what ends a forked worker asks nothing of its parent
