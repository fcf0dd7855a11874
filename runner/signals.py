"""The first SIGINT or SIGTERM asks what runs to save and stop; a second one leaves at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_received: list[int] = []


class Stopped(Exception):
    """A run was told to stop; what it had made is saved, and it can go on."""


@contextmanager
def listening() -> Iterator[None]:
    """Takes both signals as a request, even where the parent had SIGINT ignored; only the main thread can."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asked() -> bool:
    """Tells whether to save and stop."""
    return bool(_received)


def exit_code() -> int:
    """Gives 130 after SIGINT and 143 after SIGTERM, as shells do."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def _receive(number: int, frame: object) -> None:
    _received.append(number)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    print(
        "stopping: the state is saved at the end of the running steps; once more leaves at once", flush=True
    )
