"""Threads that save at the same time in one process: none hangs, and none saves the state of another."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from faults import subject
from faults.tally import Tally

PATIENCE = 60.0  # seconds after which a sweep hangs


def threads(sweeps: int = 100, seed: int = 0, width: int = 4) -> Iterator[Tally]:
    """Runs sweeps of `width` threads, each of which saves three steps of its own run."""
    tally = Tally("threads of one process save at once")
    for sweep in range(seed, seed + sweeps):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            places = [Path(folder) / str(job) / "checkpoints" for job in range(width)]
            steps = [[10 * sweep + width * turn + job for turn in (1, 2, 3)] for job in range(width)]
            jobs = [
                threading.Thread(target=subject.save, args=(place, *own), daemon=True)
                for place, own in zip(places, steps, strict=True)
            ]
            for job in jobs:
                job.start()
            for job in jobs:
                job.join(PATIENCE)
            for number, (job, place, own) in enumerate(zip(jobs, places, steps, strict=True)):
                tally.count(_outcome(job, place, own[-1]), f"sweep {sweep}, thread {number}")
            if any(job.is_alive() for job in jobs):
                break
    yield tally


def _outcome(job: threading.Thread, place: Path, last: int) -> str:
    if job.is_alive():
        return "lost"
    with contextlib.suppress(subject.Silent):
        return "survived" if subject.load(place) == (last, []) else "lost"
    return "silent"
