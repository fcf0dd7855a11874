"""Measures the cost of safety: of checks that the state is finite, and of checkpoints that are read back and sealed.

python benchmarks/safety.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from runner import Loop
from runner.compose.command_line import compose
from runner.loop import compiled
from runner.runs.training import Training
from runner.storage import arrays, seals
from runner.storage.checkpoints import Checkpoints

PAIRS, STEPS = 9, 20_000
SMALL = ["net.hidden_sizes=[64]", "dataset.batch_size=64"]
LEAVES = 20
SIZES = {"300 kB": 3_750, "104 MB": 1_300_000}  # floats of a leaf of a state


def main() -> None:
    """Prints both costs."""
    print(f"steps with looks / steps without: {looks():.3f} (MLP 64-64-10 on digits, {STEPS} steps)")
    print(
        "| state | the training waits, s | the saving thread takes, s | of that reading back, s | of that the seal, s |"
        "\n|---|---|---|---|---|"
    )
    for name, size in SIZES.items():
        print(f"| {name} | " + " | ".join(f"{seconds:.4f}" for seconds in saves(size)) + " |")


def looks() -> float:
    """Returns the median ratio of the times of a run that checks its states and of one that does not, in turns."""
    training = Training(compose(SMALL))
    leaves = jax.tree.leaves(training.prepared.template)
    whole = np.ones(sum(jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact) for leaf in leaves), bool)

    def seconds() -> float:
        begun = time.perf_counter()
        Loop(STEPS).run(training.parts.scenario, training.parts.dataset, key=jax.random.key(0))
        return time.perf_counter() - begun

    seconds()  # compiles
    ratios = []
    for _ in range(PAIRS):
        looking = seconds()
        with mock.patch.object(compiled, "are_finite", return_value=whole):
            ratios.append(looking / seconds())
    return statistics.median(ratios)


def saves(size: int) -> list[float]:
    """Returns median seconds: that the training waits for a save, that the save takes, its reading back, its seal."""
    keys = jax.random.split(jax.random.key(0), LEAVES)
    state = {f"w{number}": jax.random.normal(key, size) for number, key in enumerate(keys)}
    rows, read_back, seal = [], Timed(arrays.read_back), Timed(seals.seal)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(arrays, "read_back", read_back),
        mock.patch.object(seals, "seal", seal),
    ):
        for step in range(PAIRS):
            begun = time.perf_counter()
            with Checkpoints(Path(folder) / "checkpoints") as checkpoints:
                checkpoints.save(step, state, {})
                waited = time.perf_counter() - begun
            rows.append((waited, time.perf_counter() - begun - waited, read_back.seconds, seal.seconds))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


class Timed:
    """A function that keeps the seconds that its last call took."""

    def __init__(self, function: Callable):
        self._function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function."""
        begun = time.perf_counter()
        try:
            return self._function(*arguments)
        finally:
            self.seconds = time.perf_counter() - begun


if __name__ == "__main__":
    main()
