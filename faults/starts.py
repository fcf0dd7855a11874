"""Processes on one run directory: only one writes, and after it ends in any way the next one can start."""

import multiprocessing
import os
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from faults import subject
from faults.tally import Tally
from runner.errors import Busy, Unreadable
from runner.storage import lock
from runner.storage.lock import Lock

PATIENCE = 60  # seconds after which a process hangs
WIDTHS = 2, 8  # processes that start at the same time
MOST = 0.4  # largest number of seconds until a kill; a few saves fit into it
_context = multiprocessing.get_context("forkserver")


def starts(trials: int = 20, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Repeatedly starts processes on one run directory, and kills them.

    Args:
        trials: number of each kind.
        seed: of the moments of the kills.
        disabled: "lock" disables the lock; "" disables nothing.
    """
    _context.set_forkserver_preload(["faults.starts", "orbax.checkpoint"])  # once for all processes
    with tempfile.TemporaryDirectory() as folder:
        tally = Tally("started at once on one run directory")
        for trial in range(1, trials + 1):
            width = WIDTHS[trial % len(WIDTHS)]
            tally.count(_raced(Path(folder), width, trial, disabled), f"{width} starts, trial {trial}")
        yield tally
    with tempfile.TemporaryDirectory() as folder:
        tally, chance = Tally("owner of a run directory killed, its worker alive"), random.Random(seed)
        for trial in range(1, trials + 1):
            after = chance.uniform(0, MOST)
            tally.count(_killed(Path(folder), after), f"killed after {after:.3f} s, trial {trial}, {seed=}")
        yield tally


def _raced(folder: Path, width: int, step: int, disabled: str) -> str:
    gate, reports = _context.Barrier(width, timeout=PATIENCE), _context.Queue()
    started = [
        _context.Process(target=_start, args=(folder, step, gate, reports, disabled)) for _ in range(width)
    ]
    for process in started:
        process.start()
    outcomes = dict(reports.get(timeout=PATIENCE) for _ in started)
    winners = [process for process, busy in outcomes.items() if busy is None]
    for process in started:
        if len(winners) > 1:  # several writers may wait for each other without end
            process.kill()
        process.join()
    if len(winners) > 1:
        return "silent"
    named = [
        f"in use by process {winner} on" in outcomes[other]
        for winner in winners
        for other in outcomes.keys() - {winner}
    ]
    if not winners or not all(named):
        return "lost"
    return _newest(folder, step)


def _start(folder: Path, step: int, gate: Any, reports: Any, disabled: str) -> None:
    _settle(disabled)
    gate.wait()
    try:
        with Lock(folder):
            reports.put((os.getpid(), None))
            gate.wait()  # until all have tried
            subject.save(folder / "checkpoints", step)
    except Busy as error:
        reports.put((os.getpid(), str(error)))
        gate.wait()


def _killed(folder: Path, after: float) -> str:
    first = max((int(path.name) for path in (folder / "checkpoints").glob("[0-9]*")), default=0) + 1
    saved, worker = _context.Value("i", first - 1), _context.Queue()
    owner = _context.Process(target=_own, args=(folder, first, saved, worker))
    owner.start()
    orphan = worker.get(timeout=PATIENCE)
    try:
        time.sleep(after)
        owner.kill()
        owner.join()
        with Lock(folder):
            newest, _ = subject.load(folder / "checkpoints")
            if (newest or 0) < saved.value:
                return "lost"
            subject.save(folder / "checkpoints", (newest or 0) + 1)
        return _newest(folder, (newest or 0) + 1)
    except (Busy, Unreadable):
        return "lost"
    finally:
        os.kill(orphan, signal.SIGKILL)


def _own(folder: Path, first: int, saved: Any, worker: Any) -> None:
    _settle()
    with Lock(folder):
        with warnings.catch_warnings(action="ignore"):  # JAX has no threads before its first array
            child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            signal.pause()
        worker.put(child)
        subject.save(
            folder / "checkpoints", *range(first, first + 1000), on_saved=lambda step: _set(saved, step)
        )


def _set(saved: Any, step: int) -> None:
    saved.value = step


def _settle(disabled: str = "") -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    jax.config.update("jax_platforms", "cpu")
    if disabled == "lock":
        lock.fcntl.lockf = lambda *_: None


def _newest(folder: Path, step: int) -> str:
    try:
        return "survived" if subject.load(folder / "checkpoints") == (step, []) else "lost"
    except subject.Silent:
        return "silent"
    except Unreadable:
        return "lost"
