"""Scripts that end with the last line of a training in code: its last step is saved."""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax

from faults.tally import Tally
from runner import Loop
from runner.compose.command_line import compose
from runner.runs.training import Training
from runner.storage.checkpoints import Checkpoints

WORDS = ["dataset=iris", "net.hidden_sizes=[4]", "dataset.batch_size=8", "figures=false"]


def scripts(trials: int = 20, seed: int = 0) -> Iterator[Tally]:
    """Runs scripts of random lengths and intervals, with and without a stop, and looks for their last steps."""
    tally, chance = Tally("a script that ends with its training"), random.Random(seed)
    for trial in range(trials):
        steps, every = chance.randint(2, 60), chance.randint(1, 60)
        stopped = chance.random() < 0.5
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "faults.scripts", folder, *map(str, (steps, every, int(stopped)))]
            ended = subprocess.run(
                words,
                env=os.environ | {"JAX_PLATFORMS": "cpu"},
                cwd=Path(__file__).parents[1],
                capture_output=True,
                text=True,
            )
            newest = Checkpoints(folder).newest()
            whole = newest is not None if stopped else newest == steps
            reported = f"stopped at step {newest}" in ended.stderr if stopped else ended.returncode == 0
            outcome = "lost" if not whole else "survived" if reported else "silent"
            tally.count(outcome, f"{steps=}, {every=}, {stopped=}, {newest=}, {trial=}, {seed=}")
    yield tally


def _main(folder: str, steps: str, every: str, stopped: str) -> None:
    training, asked = Training(compose(WORDS)), iter([False, *[stopped == "1"] * 1000])
    loop = Loop(steps=int(steps), save_every=int(every))
    scenario, data, *_ = training.parts
    loop.run(scenario, data, key=jax.random.key(0), checkpoints=Checkpoints(folder), stop=lambda: next(asked))


if __name__ == "__main__":
    _main(*sys.argv[1:])
