"""Samples of a scenario against held-out data."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from runner import figures
from runner.evaluators.means import Means, data_key, passes
from runner.metrics import energy_distance, high_quality, modes_covered
from runner.numbers import join, split
from runner.types import Figures, Key, Source


@dataclasses.dataclass(frozen=True)
class Samples:
    """Gives all that `Means` gives, and compares a set of samples with as many held-out examples.

    Attributes:
        size: how many samples, and the most held-out examples.
    """

    size: int = 2000

    def __post_init__(self):
        if self.size < 2:
            raise ValueError(
                f"size: {self.size} is less than 2; a distance between sets needs at least 2 samples"
            )

    def __call__(
        self, key: Key, scenario: Any, state: Any, source: Source
    ) -> tuple[dict[str, float], Figures]:
        """Judges a state by `energy_distance`, and by `modes` and `high_quality` where the modes are known.

        Raises:
            ValueError: the scenario has no `sample`, or the data no two `x`.
        """
        _check(scenario, source)
        metrics, drawn = Means()(key, scenario, state, source)
        generated = _draw(*split(scenario), jax.random.fold_in(key, 2), state, self.size)
        batches = [
            _x(key, number, source, item)[:rows] for number, item, rows in passes(key, source, self.size)
        ]
        real = np.concatenate(batches)
        values = {"energy_distance": energy_distance(generated, real)}
        if source.spec.modes is not None:
            values["modes"] = modes_covered(generated, source.spec.modes)
            values["high_quality"] = high_quality(generated, source.spec.modes)
        metrics |= {name: float(value) for name, value in values.items()}
        return metrics, {**drawn, **figures.samples(np.asarray(generated), real)}

    def names(self, scenario: Any, state: Any, source: Source) -> tuple[str, ...]:
        """Gives the names of the metrics, from shapes alone; nothing is computed.

        Raises:
            ValueError: the scenario has no `sample`, the data no two `x`, or their shapes differ.
        """
        _check(scenario, source)
        samples = jax.eval_shape(
            lambda key, state: scenario.sample(key, state, self.size), jax.random.key(0), state
        )
        found, needed = samples.shape[1:], source.spec.shape("x")
        if found != needed:
            raise ValueError(f"evaluation: the samples have shape {found} and the data's x has {needed}")
        modes = () if source.spec.modes is None else ("modes", "high_quality")
        return (*Means().names(scenario, state, source), "energy_distance", *modes)


def _check(scenario: Any, source: Source) -> None:
    if not hasattr(scenario, "sample"):
        raise ValueError(
            f"evaluation: {type(scenario).__name__} has no `sample` to be judged by; take evaluation=means"
        )
    source.spec.shape("x")
    if source.size == 1:
        raise ValueError("evaluation: the held-out data has 1 row; a distance between sets needs at least 2")


@functools.partial(jax.jit, static_argnums=(0, 4))
def _draw(rest, numbers, key, state, size):
    return join(rest, numbers).sample(key, state, size)


@jax.jit
def _x(key, number, source, item):
    return source.batch(jax.random.fold_in(data_key(key), number), item)["x"]
