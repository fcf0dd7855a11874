"""Means of a scenario's metrics over the whole of a held-out source."""

import dataclasses
import functools
import math
import operator
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Figures, Key, Mean, Metrics, Source, Spec
from runner.loop.partition import join, split
from runner.writers import figures

POINTS = 1000  # about as many are drawn in the figure of a fit
TEXTS = 6  # are written for the figure of a language model


@dataclasses.dataclass(frozen=True)
class Means:
    """Averages the scenario's `evaluate` over every held-out example, each counted once."""

    def __call__(
        self, key: Key, scenario: Any, state: Any, source: Source
    ) -> tuple[dict[str, float], Figures]:
        """Judges a state.

        A metric `confusion` [C, C] becomes a figure; any other that is no number is spread into `name/0`,
        `name/1` and so on. A scenario that predicts numbers gets the figure `fit`, one that reconstructs gets
        `reconstructions`, and one that writes text `samples`.

        Raises:
            ValueError: `evaluate` does not give one value for each example.
        """
        batches = list(passes(key, source))
        means = _means(key, scenario, state, source, batches)
        drawn = _drawn(key, scenario, state, source, batches[: math.ceil(POINTS / source.batch_size)])
        if "confusion" in means:
            matrix, labels = means.pop("confusion"), source.spec.labels
            drawn["confusion"] = functools.partial(figures.confusion, matrix, labels)
        return {name: float(mean[at]) for name, at, mean in _spread(means)}, drawn

    def compile(self, scenario: Any, state: Any, source: Source) -> None:
        """Compiles what judging takes, from shapes and dtypes of the state; not for a stream, which has a place."""
        if not hasattr(source, "resumable"):
            key = jax.random.key(0)
            number, item, _ = next(passes(key, source))
            _judge.lower(*split(scenario), key, number, state, source, item).compile()

    def names(self, scenario: Any, state: Any, source: Source) -> tuple[str, ...]:
        """Gives the names of the metrics, from shapes alone; nothing is computed.

        Raises:
            ValueError: `evaluate` does not give one value for each example.
        """

        def means(key, state):
            values = scenario.evaluate(key, state, source.spec.example(source.batch_size))
            _check(values, source)
            means = {
                name: value.total.sum() if isinstance(value, Mean) else value.mean(0)
                for name, value in values.items()
            }
            return _summarize(scenario, means)

        shapes = jax.eval_shape(means, jax.random.key(0), state)
        shapes.pop("confusion", None)
        return tuple(name for name, _, _ in _spread(shapes))


def passes(key: Key, source: Source, limit: int | None = None) -> Iterator[tuple[int, Any, int | None]]:
    """Goes once over a source, or over its first `limit` examples.

    Yields:
        The number of a batch, its item of the feed, and how many of its rows are no padding (None: all).
    """
    size = min((number for number in (source.size, limit) if number is not None), default=None)
    batches = 1 if size is None else math.ceil(size / source.batch_size)
    feed = source.feed(data_key(key), 0, batches)
    for number in range(batches):
        rows = None if size is None else min(source.batch_size, size - number * source.batch_size)
        yield number, jax.tree.map(operator.itemgetter(number), feed), rows


def data_key(key: Key) -> Key:
    """Derives what an evaluation's data is drawn from."""
    return jax.random.fold_in(key, 0)


def _means(key: Key, scenario: Any, state: Any, source: Source, batches: list) -> Metrics:
    rest, numbers = split(scenario)
    sums = None
    for number, item, rows in batches:
        values = _judge(rest, numbers, key, number, state, source, item)
        _check(values, source)
        batch = {name: _sum(value, rows) for name, value in values.items()}
        sums = batch if sums is None else jax.tree.map(operator.add, sums, batch)
    return _summarize(
        scenario, {name: total / count for name, (total, count) in (sums or {}).items() if count}
    )


@functools.partial(jax.jit, static_argnums=0)
def _judge(rest, numbers, key, number, state, source, item):
    batch_key, evaluate_key = (
        jax.random.fold_in(half, number) for half in (data_key(key), jax.random.fold_in(key, 1))
    )
    return join(rest, numbers).evaluate(evaluate_key, state, source.batch(batch_key, item))


def _check(values: Metrics, source: Source) -> None:
    for name, value in values.items():
        shape = jnp.shape(value.total if isinstance(value, Mean) else value)
        if not shape or (source.size is not None and shape[0] != source.batch_size):
            raise ValueError(
                f"{name}: evaluate gives an array of shape {shape} for a batch of {source.batch_size}; "
                "it must give one value for each example, [B, ...]"
            )


def _sum(values: Any, rows: int | None) -> tuple[Any, Any]:
    if isinstance(values, Mean):
        total, count = (np.asarray(part, np.float64)[:rows] for part in values)
        return np.where(count > 0, total, 0).sum(), count.sum()
    values = np.asarray(values, np.float64)[:rows]
    return values.sum(0), len(values)


def _summarize(scenario: Any, means: Metrics) -> Metrics:
    if not hasattr(scenario, "summarize"):
        return means
    with np.errstate(all="ignore"):  # the R2 of a constant target is simply not a number
        return dict(scenario.summarize(means))


def _spread(means: Metrics) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    for name, mean in means.items():
        mean = mean if isinstance(mean, jax.ShapeDtypeStruct) else np.asarray(mean)
        for at in np.ndindex(mean.shape):
            yield "/".join([name, *map(str, at)]), at, mean


def _outputs(
    ability: str, key: Key, scenario: Any, state: Any, source: Source, batches: list
) -> list[np.ndarray]:
    """Gives the batches' x and y (or x again), and what the scenario makes of x, each [N, ...]."""
    rest, numbers = split(scenario)
    parts = [
        [np.asarray(part)[:rows] for part in _apply(rest, ability, numbers, key, number, state, source, item)]
        for number, item, rows in batches
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(rest, ability, numbers, key, number, state, source, item):
    batch, scenario = source.batch(jax.random.fold_in(data_key(key), number), item), join(rest, numbers)
    spread = (
        [scenario.spread(state, batch["x"])] if ability == "predict" and hasattr(scenario, "spread") else []
    )
    return batch["x"], batch.get("y", batch["x"]), getattr(scenario, ability)(state, batch["x"]), *spread


def _drawn(key: Key, scenario: Any, state: Any, source: Source, batches: list) -> dict[str, Any]:
    """Gives the figures of what a scenario predicts, reconstructs or writes."""
    ask = lambda ability: _outputs(ability, key, scenario, state, source, batches)
    drawn = {}
    if hasattr(scenario, "predict") and _has_real_targets(source.spec):
        drawn |= _fit(*ask("predict"))
    if hasattr(scenario, "reconstruct"):
        x, _, again = ask("reconstruct")
        drawn["reconstructions"] = functools.partial(figures.reconstructions, x, again)
    if hasattr(scenario, "sample") and source.spec.vocabulary:
        tokens = np.asarray(_write(*split(scenario), jax.random.fold_in(key, 2), state))
        texts = ["".join(source.spec.vocabulary[token] for token in row) for row in tokens]
        drawn["samples"] = functools.partial(figures.texts, texts)
    return drawn


def _fit(x: np.ndarray, y: np.ndarray, prediction: np.ndarray, *spread: np.ndarray) -> dict[str, Any]:
    if prediction.shape != y.shape:
        return {}
    if x.size == y.size == len(y):
        draw = functools.partial(figures.fit, *(each.ravel() for each in (x, y, prediction, *spread)))
    else:
        draw = functools.partial(figures.against, y.ravel(), prediction.ravel())
    return {"fit": draw}


def _has_real_targets(spec: Spec) -> bool:
    named = {"x", "y"} <= spec.features.keys()
    return named and spec.classes is None and jnp.issubdtype(spec.features["y"].dtype, jnp.floating)


@functools.partial(jax.jit, static_argnums=0)
def _write(rest, numbers, key, state):
    return join(rest, numbers).sample(key, state, TEXTS)
