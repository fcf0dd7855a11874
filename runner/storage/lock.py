"""The lock of a run directory, or of the directory of a sweep, which has at most one writer."""

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
from runner.process import held
from runner.process.files import make_folder, read_small

NAME = ".lock"
SIZE = 4096  # bytes of the file, at most
PATIENCE = 0.5  # seconds for the owner to write its process id, host and start

_held: set[Path] = set()  # by this process, to which the system grants the lock of a file any number of times
_guard = threading.Lock()
os.register_at_fork(after_in_child=_held.clear)  # a child holds none of its parent's locks


class Lock:
    """Locks a directory against other writers for the duration of a `with` block.

    The system releases the lock when the process ends, in whatever way, and worker processes that outlive it do not
    keep it. So a `.lock` that is left in a directory does not mean that it is locked. Readers need no lock.

    Args:
        directory: the directory; created if it is missing.
        kind: "run" or "sweep": whose directory it is, for messages.
    """

    def __init__(self, directory: str | Path, kind: str = "run"):
        self._path, self._directory, self._kind = Path(directory).absolute(), Path(directory).resolve(), kind

    def __enter__(self) -> "Lock":
        """Acquires the lock.

        Raises:
            Busy: another process, or another thread of this process, holds the lock.
            OSError: the file system does not support locks, or cannot be written to.
        """
        with _guard:  # also while the file is open: closing it anywhere in the process would release the lock
            if self._directory in _held:
                raise _busy(self._directory, self._kind, "this process")
            self._file = _acquire(self._directory, self._kind)
            held.hold(self._path)
            _held.add(self._directory)
        return self

    def __exit__(self, *_) -> None:
        """Releases the lock; the file stays, because removing it could break the lock of the next owner."""
        with _guard:
            held.release(self._path)
            self._file.close()
            _held.discard(self._directory)


def is_held(directory: str | Path) -> bool:
    """Returns whether the process that wrote the lock is alive, if this machine can check it; acquires no lock.

    An owner on another host counts as alive.
    """
    path = Path(directory).resolve()
    with _guard:  # reading the file also closes it, see above
        if path in _held:
            return True
        try:
            return _is_alive(json.loads(read_small(path / NAME, SIZE)))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False


def _is_alive(owner: dict) -> bool:
    try:
        if owner["host"] == socket.gethostname():
            os.kill(owner["pid"], 0)
    except PermissionError:  # the process of another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _busy(directory: Path, kind: str, owner: str) -> Busy:
    remedy = f"wait for it to end, or take another hydra.{kind}.dir"
    return Busy(f"{kind} directory {directory}: in use by {owner}; {remedy}")


def _acquire(directory: Path, kind: str) -> IO:
    make_folder(directory)
    descriptor = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    file = os.fdopen(descriptor, "r+", encoding="utf-8")
    if os.fstat(file.fileno()).st_nlink > 1:  # which would be overwritten
        file.close()
        raise ValueError(f"{directory / NAME}: has another name, perhaps in another folder; remove it")
    try:
        # Not flock: a forked worker would inherit the lock, and keep it when its parent is killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate()
        file.write(json.dumps(_owner()))
        file.flush()
    except OSError as error:
        with file:
            if isinstance(error, BlockingIOError | PermissionError):  # which of the two depends on the system
                raise _busy(directory, kind, _owner_of(file)) from None
        raise OSError(f"{kind} directory {directory}: cannot be locked: {error.strerror}") from error
    return file


def _owner() -> dict:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "start": now}


def _owner_of(file: IO) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            file.seek(0)
            owner = json.loads(file.read(SIZE))
            name = f"process {owner['pid']} on {owner['host']} since {owner['start']}"
            if _is_alive(owner):
                return name
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        time.sleep(0.01)  # the owner holds the lock, and has not yet written its process id
    return "another process"
