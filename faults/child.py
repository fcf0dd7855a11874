"""A server of processes that save, with injected faults; each is forked from one that has imported everything.

Reads lines of JSON, the arguments of `inject`, and answers each with its result.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orbax.checkpoint  # noqa: F401  imported here, so that children need not import it

from faults import subject
from runner.errors import StorageError
from runner.storage import checkpoints, seals

PATIENCE = 60.0  # seconds after which a child hangs
SHIM = ctypes.CDLL(os.environ["LD_PRELOAD"]) if "LD_PRELOAD" in os.environ else None


def inject(
    directory: str,
    steps: list[int],
    call: int = 0,
    fault: int = 0,
    sticky: bool = False,
    after: float | None = None,
    image: tuple[str, str] | None = None,
    disabled: str = "",
) -> dict[str, Any]:
    """Starts a child that saves steps, and injects a fault into it.

    Args:
        directory: of the checkpoints.
        steps: to save.
        call: number, from 1, of the call that changes a file at which it fails; 0 means none. Needs the shim.
        fault: errno with which the call fails; 0 means a kill.
        sticky: whether all later calls fail, too.
        after: seconds until the kill, or None.
        image: path of a disk image, and the path to which it is copied at the moment of the kill.
        disabled: the protection to disable, to check that it is needed: "sync", "seal", or "" for none.

    Returns:
        A dict with the keys
        status: the exit status, or the negative signal, or 124 if the child hung.
        calls: number of calls that changed a file.
        seconds: wall-clock time of the child.
        saved: the steps that were reported as saved.
    """
    child, reader = _start(directory, steps, (call, fault, sticky), disabled)
    begun = time.monotonic()
    status = _wait(child, after, image)
    with os.fdopen(reader) as lines:
        messages = [json.loads(line) for line in lines]
    numbers = lambda word: [number for kind, number in messages if kind == word]
    outcome = {"status": status, "calls": max(numbers("calls"), default=0), "saved": numbers("saved")}
    return {**outcome, "seconds": time.monotonic() - begun}


def _start(directory: str, steps: list[int], armed: tuple, disabled: str) -> tuple[int, int]:
    """Returns the process id of a new child, and the file descriptor of what it reports."""
    reader, writer = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # JAX has no threads before its first array
        child = os.fork()
    if child == 0:
        _disable(disabled)
        _save_and_leave(Path(directory), steps, armed, writer)
    os.close(writer)
    return child, reader


def _save_and_leave(directory: Path, steps: list[int], armed: tuple, writer: int) -> None:
    report = lambda kind, number: os.write(writer, f"{json.dumps([kind, number])}\n".encode())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    status = 1
    try:
        subject.state(0)  # initializes JAX
        if SHIM:
            SHIM.arm(*armed)
        subject.save(directory, *steps, on_saved=lambda step: report("saved", step))
        status = 0
    except StorageError:
        status = 4
    finally:
        report("calls", SHIM.counted() if SHIM else 0)
        os._exit(status)


def _disable(disabled: str) -> None:
    if disabled == "sync":
        seals.sync = checkpoints.sync = lambda path: None
    if disabled == "seal":
        own = seals.seal
        seals.seal = lambda folder, note: _seal_in_sight(own, folder, note)


def _seal_in_sight(seal: Callable, folder: Path, note: Any) -> int:
    """Seals a folder that is already visible under the name of its step."""
    seen = folder.rename(folder.with_name(str(note["step"])))
    size = seal(seen, note)
    seen.rename(folder)
    return size


def _wait(child: int, after: float | None, image: tuple[str, str] | None) -> int:
    end = time.monotonic() + (PATIENCE if after is None else after)
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.001)
    else:
        os.kill(child, signal.SIGSTOP)
        _copy(image)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return 124 if after is None else -signal.SIGKILL
    _copy(image)
    return os.waitstatus_to_exitcode(status)


def _copy(image: tuple[str, str] | None) -> None:
    if image is not None:
        shutil.copyfile(*image)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(inject(**json.loads(line))), flush=True)
