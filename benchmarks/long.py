"""Measures what a process uses over many evaluations and saves of one run, and over many runs.

python benchmarks/long.py                # 20,000 evaluations with 2,000 saves, then 200 runs; two to ten minutes
"""

import argparse
import contextlib
import io
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from structures import resident

from runner import train
from runner.compose.command_line import compose
from runner.process.memory import memory_maps
from runner.runs.training import Training

WORK = ["dataset=iris", "net=linear", "optimizer=sgd", "dataset.batch_size=8", "figures=false"]
EVERY = 10  # evaluations per save
ROWS = 4  # samples after the first one


def sample(done: int, what: str) -> None:
    """Prints a row: resident memory, descriptors, threads and memory maps of this process."""
    descriptors = len([*Path("/proc/self/fd").iterdir()]) - 1  # the listing itself takes one
    row = (f"{done:,} {what}", f"{resident():.0f}", descriptors, threading.active_count(), memory_maps())
    print("|", " | ".join(map(str, row)), "|", flush=True)


class Sampler:
    """A writer that prints samples of the process; the first one after the first save."""

    def __init__(self, steps: int, start: int, steps_per_epoch: float | None):
        self._steps = {2 * EVERY, *(steps * part // ROWS for part in range(1, ROWS + 1))}

    def write(self, step: int, metrics: Mapping, figures: Mapping) -> None:
        """Prints a sample at some steps."""
        if step in self._steps:
            sample(step, "evaluations")
            self._steps.remove(step)  # the figures of the last step are written too

    def close(self) -> None:
        """Does nothing."""


def evaluate(folder: Path, evaluations: int) -> None:
    """Trains one run that evaluates after each step."""
    intervals = ["loop.log_every=1000", "loop.evaluate_every=1", f"loop.save_every={EVERY}"]
    Training(compose([*WORK, *intervals, f"steps={evaluations}"])).run(folder / "one", Sampler)


def repeat(folder: Path, runs: int) -> None:
    """Trains runs, one after another, as a notebook does."""
    for number in range(1, runs + 1):
        with contextlib.redirect_stdout(io.StringIO()):
            train([*WORK, "steps=20", f"seed={number}"], folder / str(number))
        if number == 2 or number % max(runs // ROWS, 1) == 0:
            sample(number, "runs")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    print("| after | resident, MiB | descriptors | threads | memory maps |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        evaluate(Path(folder), options.evaluations)
        repeat(Path(folder), options.runs)


if __name__ == "__main__":
    main()
