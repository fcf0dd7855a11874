"""One writer for a run directory."""

import fcntl
import json
import os
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from runner.errors import Busy

NAME = ".lock"
PATIENCE = 0.5  # seconds for an owner to write who it is
WAY_OUT = "wait for it to end, or take another hydra.run.dir"

_held: set[Path] = set()  # by this process, which the system lets lock a file any number of times
_guard = threading.Lock()
os.register_at_fork(after_in_child=_held.clear)  # a child holds none of its parent's locks


class Lock:
    """Holds a run directory against other writers, for as long as a `with` block lasts.

    The system frees it when its process ends, however that ends, and workers that outlive it do not keep it. So a
    `.lock` that is left in a directory means nothing. Readers need none.

    Args:
        directory: of the run; made where it is missing.
    """

    def __init__(self, directory: str | Path):
        self._directory = Path(directory).resolve()

    def __enter__(self) -> "Lock":
        """Takes the lock.

        Raises:
            Busy: another process holds it, or another thread of this one.
            OSError: the file system has no locks, or cannot be written to.
        """
        with _guard:  # also while the file is open: closing it anywhere in the process would free the lock
            if self._directory in _held:
                raise Busy(f"run directory {self._directory}: in use by this process; {WAY_OUT}")
            self._file = _taken(self._directory)
            _held.add(self._directory)
        return self

    def __exit__(self, *_) -> None:
        """Frees it; the file stays, for to remove it could take it from the next one who holds it."""
        with _guard:
            self._file.close()
            _held.discard(self._directory)


def is_held(directory: str | Path) -> bool:
    """Tells whether the process that wrote the lock lives, as far as this machine can tell; takes nothing."""
    path = Path(directory).resolve()
    with _guard:  # to read the file is to close it, see above
        if path in _held:
            return True
        try:
            return _lives(json.loads((path / NAME).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _lives(owner: dict) -> bool:
    try:
        if owner["host"] == socket.gethostname():
            os.kill(owner["pid"], 0)
    except PermissionError:  # another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _taken(directory: Path) -> IO:
    directory.mkdir(parents=True, exist_ok=True)
    file = os.fdopen(os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+")
    try:
        # Not flock: a forked worker would inherit it, and keep it when its parent is killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate()
        file.write(json.dumps(_owner()))
        file.flush()
    except OSError as error:
        with file:
            if isinstance(error, BlockingIOError | PermissionError):  # which of them, is up to the system
                raise Busy(f"run directory {directory}: in use by {_told(file)}; {WAY_OUT}") from None
        raise OSError(f"run directory {directory}: cannot be locked: {error.strerror}") from error
    return file


def _owner() -> dict:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "start": now}


def _told(file: IO) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            file.seek(0)
            owner = json.load(file)
            told = f"process {owner['pid']} on {owner['host']} since {owner['start']}"
            if _lives(owner):
                return told
        except (ValueError, KeyError, TypeError):
            pass
        time.sleep(0.01)  # it holds the lock, and has not yet written who it is
    return "another process"
