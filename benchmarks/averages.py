"""Compares averages of parameters with the parameters themselves, for several decays along one training.

    python benchmarks/averages.py generator scenario=gan evaluation.size=10000
    python benchmarks/averages.py net scenario=diffusion loss=absolute_error

The first argument names the net that is averaged, the others are those of `runner`. An average does not affect the
training, so one run of each seed follows all decays. The parameters after the last step and their averages are
compared by the metric that `loop.best` names, with the same random numbers. Prints a line for each split and seed when
it is known, and then the medians. A decay is chosen by the validation split.
"""

import dataclasses
import os
import platform
import statistics
import sys
import time
from datetime import date
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import Batch, Key, Metrics, PyTree, Scenario, Spec, abilities, averages

SEEDS = (0, 1, 2)
SPLITS = ("validation", "test")
DECAYS = (0.9, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
LINE = "{:<12}{:<6}" + "{:>9}" * (1 + len(DECAYS))


class FollowedState(NamedTuple):
    """The state of a scenario, and the averages of one of its nets, one for each decay."""

    state: PyTree
    averages: tuple[PyTree, ...]
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class Followed:
    """Trains a scenario that has no average of its own, and follows averages of one of its nets."""

    scenario: Scenario
    net: str

    batches_per_step = property(lambda self: abilities.batches_per_step(self.scenario))

    def init(self, key: Key, spec: Spec) -> FollowedState:
        """Returns the first state."""
        state = self.scenario.init(key, spec)
        params = getattr(state, self.net).params
        return FollowedState(state, tuple(averages.start(params, decay) for decay in DECAYS), jnp.int32(0))

    def step(self, key: Key, followed: FollowedState, batch: Batch) -> tuple[FollowedState, Metrics]:
        """Computes one step of the scenario and of each average."""
        state, metrics = self.scenario.step(key, followed.state, batch)
        params = getattr(state, self.net).params
        pairs = zip(followed.averages, DECAYS, strict=True)
        moved = tuple(averages.moving_average(old, params, decay, followed.step) for old, decay in pairs)
        return FollowedState(state, moved, followed.step + 1), metrics

    def evaluate(self, key: Key, followed: FollowedState, batch: Batch) -> Metrics:
        """Evaluates the scenario by its parameters."""
        return self.scenario.evaluate(key, followed.state, batch)


def train(name: str, command: list[str], seed: int) -> dict[str, list[float]]:
    """Returns the values of each split: of the parameters, and of their average for each decay."""
    scenario, dataset, loop, evaluator = build(compose([*command, "scenario.ema=null", f"seed={seed}"]))
    state, followed, _ = Loop(steps=loop.steps).run(
        Followed(scenario, name), dataset.train, key=jax.random.key(seed)
    )
    net = getattr(state, name)
    params = [net.params, *followed]
    states = [state._replace(**{name: net._replace(params=each)}) for each in params]
    evaluate = lambda state, split: evaluator(jax.random.key(1), scenario, state, getattr(dataset, split))
    return {split: [evaluate(state, split)[0][loop.best] for state in states] for split in SPLITS}


def main() -> None:
    """Trains a run for each seed, and prints the table."""
    name, *command = sys.argv[1:]
    began, values = time.monotonic(), {split: [] for split in SPLITS}
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, JAX {jax.__version__}")
    print(LINE.format("split", "seed", "raw", *DECAYS), flush=True)
    for seed in SEEDS:
        for split, row in train(name, command, seed).items():
            values[split].append(row)
            print(LINE.format(split, seed, *(f"{value:.5f}" for value in row)), flush=True)
    for split, rows in values.items():
        medians = map(statistics.median, zip(*rows, strict=True))
        print(LINE.format(split, "all", *(f"{value:.5f}" for value in medians)))
    print(f"in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
