"""Runs fresh processes, and measures and reports their time and memory."""

import functools
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import date, datetime
from math import nan
from pathlib import Path
from typing import NamedTuple

COMMAND = [sys.executable, "-c", "from runner.cli import command; command()"]


class Result(NamedTuple):
    """The time and memory of one process; NaN where they are unknown."""

    total: float  # seconds from the start of the process to its end
    peak: float  # MiB
    first: float = nan  # seconds from the start of the process to the end of the first step
    rate: float = nan  # steps a second in the second half
    parameters: float = nan


def launch(command: list[str], folder: Path, **environment: str) -> tuple[float, Result]:
    """Runs a process to its end in a folder; returns the time of its start, and its result.

    Raises:
        RuntimeError: it failed; the message contains the end of its output.
    """
    log, environment = folder / "log", os.environ | environment
    with log.open("wb") as output:
        start = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        total = time.time() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{log.read_text(errors='replace')[-2000:]}")
    return start, Result(total, usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024))


def timed(start: float, result: Result, notes: list[tuple[int, float]], parameters: float = nan) -> Result:
    """Adds the time of the first step and the rate, from notes: numbers of steps and the times when they were done."""
    last, end = notes[-1]
    half, middle = next(note for note in notes if note[0] >= last // 2)
    rate = (last - half) / (end - middle) if end > middle else nan
    return result._replace(first=notes[0][1] - start, rate=rate, parameters=parameters)


def run_command(command: list[str], cache: Path, folder: Path) -> Result:
    """Runs the command `runner`, and reads the times from the records that it wrote."""
    command = [*COMMAND, *command, f"hydra.run.dir={folder / 'run'}"]
    start, result = launch(command, folder, RUNNER_CACHE=str(cache))
    return timed(start, result, records(folder / "run"))


def records(run: Path) -> list[tuple[int, float]]:
    """Returns the steps of the records of a run, and the time when each was written."""
    rows = map(json.loads, (run / "timing.jsonl").read_text().splitlines())
    return [(row["step"], datetime.fromisoformat(row["time"]).timestamp()) for row in rows]


def median(results: Iterable[Result]) -> Result:
    """Returns the median of each field."""
    return Result._make(statistics.median(column) for column in zip(*results, strict=True))


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Returns a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]) + "\n"


@functools.cache
def version_of(name: str, python: str) -> str:
    """Returns the version of a package in another Python, or an empty string if it is not installed."""
    ask = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout.strip()


def machine(peers: str = sys.executable) -> str:
    """Returns a line with the date, the machine, the versions and the command."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    versions = [f"Python {platform.python_version()}"]
    for name in ("jax", "dm-haiku", "optax", "hydra-joblib-launcher", "keras", "torch"):
        if found := version_of(name, peers if name in ("keras", "torch") else sys.executable):
            versions.append(f"{name} {found}")
    words = ["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]
    place = f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
    return f"{date.today()}, {place}; {', '.join(versions)}; `{shlex.join(words)}`\n"
