"""Measures the cost of safety: of checks that the state is finite, and of sealed checkpoints.

python benchmarks/safety.py
"""

import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np

from runner import Loop
from runner.compose.command_line import compose
from runner.loop import compiled
from runner.runs.training import Training
from runner.storage import seals
from runner.storage.checkpoints import Checkpoints

PAIRS, STEPS = 9, 20_000
SMALL = ["net.hidden_sizes=[64]", "dataset.batch_size=64"]
SIZES = {"146 kB": 36_500, "104 MB": 26_000_000}  # floats of a state


def main() -> None:
    """Prints both costs."""
    print(f"steps with looks / steps without: {looks():.3f} (MLP 64-64-10 on digits, {STEPS} steps)")
    print(
        "| state | the training waits, s | the saving thread takes, s | of that the seal, s |\n|---|---|---|---|"
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
    """Returns median seconds: that the training waits for a save, that the save takes, and that its seal takes."""
    state, seal, sealing, rows = {"w": jax.random.normal(jax.random.key(0), size)}, seals.seal, [], []

    def timed(*arguments) -> int:
        begun = time.perf_counter()
        written = seal(*arguments)
        sealing.append(time.perf_counter() - begun)
        return written

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(seals, "seal", timed):
        for step in range(PAIRS):
            begun = time.perf_counter()
            with Checkpoints(Path(folder) / "checkpoints") as checkpoints:
                checkpoints.save(step, state, {})
                waited = time.perf_counter() - begun
            rows.append((waited, time.perf_counter() - begun - waited, sealing[-1]))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    main()
