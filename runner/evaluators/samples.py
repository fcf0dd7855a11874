"""Comparisons of a scenario's samples with held-out data."""

import dataclasses
import functools
import math
from typing import Protocol

import jax
import numpy as np

from runner.core import Figures, Key, Modes, PyTree, Scenario, Source
from runner.core.abilities import Sampling, supports
from runner.core.declarations import maximized, minimized
from runner.evaluators.means import Means, data_key, passes
from runner.loop.partition import join, split
from runner.metrics import (
    energy_distance,
    high_quality,
    kernel_distance,
    modes_covered,
    precision_recall,
    sliced_wasserstein,
)
from runner.writers import figures

AT_ONCE = 2**17  # values in the samples drawn by one call: 2048 images of 8 x 8, 10 colour images of 64 x 64
COMPARED = ("energy_distance", "sliced_wasserstein", "modes", "high_quality")
FAST_COMPILE = {"xla_backend_optimization_level": 1}  # for functions that take longer to compile than to run
NEIGHBOURS = 3  # the neighbours that define what is near for precision and recall


class Features(Protocol):
    """Computes features of x, as `runner.runs.features` does."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each x."""
        ...

    def __call__(self, x: np.ndarray, /) -> np.ndarray:
        """Returns features `[N, F]` of x `[N, ...]`."""
        ...


@dataclasses.dataclass(frozen=True)
class Samples:
    """Returns what `Means` returns, and compares a set of samples with as many held-out examples.

    Attributes:
        size: the number of samples, and the largest number of held-out examples.
        features: a function of x `[N, ...]`, each of shape `features.shape`, that returns features `[N, F]`, such as
            `runner.runs.features`. Both sets are then also compared by their features, standardized by those of the
            held-out examples. None turns this off.
    """

    size: int = 2000
    features: Features | None = None

    declared_metrics = minimized(
        energy_distance="energy distance of samples and data",
        sliced_wasserstein="mean Wasserstein distance of projections of samples and data",
        kernel_distance="kernel distance of the features of samples and data",
    ) | maximized(
        modes="number of modes that the samples cover",
        high_quality="share of the samples that are near a mode",
        precision="share of the samples that are near data, by their features",
        recall="share of the data that is near samples, by its features",
    )

    def __post_init__(self):
        if self.features is not None and not hasattr(self.features, "shape"):
            raise ValueError(
                "features: need what runner.runs.features returns, or null; say evaluation=features"
            )
        if self.size < self.fewest:
            raise ValueError(
                f"size: {self.size} is less than {self.fewest}, the fewest samples that can be compared"
            )

    @property
    def fewest(self) -> int:
        """The fewest examples that each set needs: two for a distance, and for features more than the neighbours."""
        return 2 if self.features is None else NEIGHBOURS + 1

    def __call__(
        self, key: Key, scenario: Scenario, state: PyTree, source: Source
    ) -> tuple[dict[str, float], Figures]:
        """Returns the metrics and the figures of a state.

        The metrics of samples are `energy_distance` and `sliced_wasserstein`; with known modes also `modes` and
        `high_quality`; with features also `kernel_distance`, `precision` and `recall`.

        Raises:
            ValueError: the scenario has no `sample`, or the data has no `x` or too few rows.
        """
        self._check(scenario, source)
        metrics, drawn = Means()(key, scenario, state, source)
        generated = self._draw(jax.random.fold_in(key, 2), scenario, state, source.spec.shape("x"))
        batches = passes(key, source, self.size)
        x = [np.asarray(_x(key, number, source, item))[:rows] for number, item, rows in batches]
        real = np.concatenate(x)
        values = dict(zip(COMPARED, _compare(generated, real, source.spec.modes), strict=False))
        if self.features is not None:
            values |= _by_features(*(np.asarray(self.features(x)) for x in (generated, real)))
        metrics |= {name: float(value) for name, value in values.items()}
        return metrics, {**drawn, **figures.samples(np.asarray(generated), real)}

    def _draw(self, key: Key, scenario: Scenario, state: PyTree, shape: tuple[int, ...]) -> np.ndarray:
        """Draws the samples, in several calls if they are large: a net takes far more memory than its outputs."""
        block = self._at_once(shape)
        if block == self.size:
            return np.asarray(_draw(*split(scenario), key, state, self.size))
        keys = (jax.random.fold_in(key, number) for number in range(math.ceil(self.size / block)))
        drawn = [np.asarray(_draw(*split(scenario), block_key, state, block)) for block_key in keys]
        return np.concatenate(drawn)[: self.size]

    def _at_once(self, shape: tuple[int, ...]) -> int:
        return min(self.size, max(1, AT_ONCE // math.prod(shape)))

    def compile(self, scenario: Scenario, state: PyTree, source: Source) -> None:
        """Compiles the evaluation, from shapes and dtypes of the state.

        A stream is left out, because reading from it would change its position.
        """
        if hasattr(source, "resumable"):
            return
        Means().compile(scenario, state, source)
        key, shape = jax.random.key(0), source.spec.shape("x")
        number, item, _ = next(passes(key, source))
        _x.lower(key, number, source, item).compile()
        _draw.lower(*split(scenario), key, state, self._at_once(shape)).compile()
        sizes = self.size, min(self.size, source.size or self.size)
        generated, real = (jax.ShapeDtypeStruct((size, *shape), np.float32) for size in sizes)
        _compare.lower(generated, real, source.spec.modes).compile()

    def names(self, scenario: Scenario, state: PyTree, source: Source) -> tuple[str, ...]:
        """Returns the names of the metrics, from shapes alone; nothing is computed.

        Raises:
            ValueError: the scenario has no `sample`, the data has no `x` or too few rows, or their shapes differ.
        """
        self._check(scenario, source)
        samples = jax.eval_shape(_draw, *split(scenario), jax.random.key(0), state, self.size)
        actual, needed = samples.shape[1:], source.spec.shape("x")
        if actual != needed:
            raise ValueError(f"evaluation: the samples have shape {actual} and the data's x has {needed}")
        compared = COMPARED[: 2 if source.spec.modes is None else 4]
        features = () if self.features is None else ("kernel_distance", "precision", "recall")
        if self.features is not None and self.features.shape != needed:
            raise ValueError(
                f"evaluation: the features are of x of shape {self.features.shape}, and the data's has {needed}"
            )
        return (*Means().names(scenario, state, source), *compared, *features)

    def _check(self, scenario: Scenario, source: Source) -> None:
        if not supports(scenario, Sampling):
            raise ValueError(
                f"evaluation: {type(scenario).__name__} has no `sample` to be evaluated by; take evaluation=means"
            )
        source.spec.shape("x")
        if source.size is not None and source.size < self.fewest:
            raise ValueError(
                f"evaluation: the held-out data has {source.size} of the {self.fewest} rows that a comparison needs"
            )


def _by_features(generated: np.ndarray, real: np.ndarray) -> dict[str, jax.Array]:
    mean, std = real.mean(0, keepdims=True), real.std(0, keepdims=True)
    generated, real = ((each - mean) / np.where(std > 0, std, 1) for each in (generated, real))
    precision, recall = precision_recall(generated, real, NEIGHBOURS)
    return {"kernel_distance": kernel_distance(generated, real), "precision": precision, "recall": recall}


@functools.partial(jax.jit, compiler_options=FAST_COMPILE)
def _compare(generated: jax.Array, real: jax.Array, modes: Modes | None) -> tuple[jax.Array, ...]:
    """Returns the metrics named in COMPARED, those of modes only if the modes are known."""
    distances = energy_distance(generated, real), sliced_wasserstein(generated, real)
    known = () if modes is None else (modes_covered(generated, modes), high_quality(generated, modes))
    return *distances, *known


@functools.partial(jax.jit, static_argnums=(0, 4))
def _draw(structure, leaves, key, state, size):
    return join(structure, leaves).sample(key, state, size)


@functools.partial(jax.jit, compiler_options=FAST_COMPILE)
def _x(key, number, source, item):
    return source.batch(jax.random.fold_in(data_key(key), number), item)["x"]
