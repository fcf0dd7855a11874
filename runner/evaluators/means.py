"""Means of a scenario's metrics over a whole held-out source, and metrics of all of its outputs."""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Draw, Figures, Key, Mean, Metrics, PyTree, Scenario, Source, Spec
from runner.core.abilities import Predicting, Reconstructing, Sampling, Spreading, Summarizing, supports
from runner.core.vocabulary import decode
from runner.evaluators.whole import Whole, target_names
from runner.loop.partition import join, split
from runner.writers import diagnostics, figures

AT_ONCE = 2**25  # bytes that are read from a source at a time, unless a single batch takes more
POINTS = 1000  # approximate number of points in the figure of a fit
TEXTS = 6  # texts in the figure of a language model


@dataclasses.dataclass(frozen=True)
class Means:
    """Averages the scenario's `evaluate` over the held-out examples, each of which counts once.

    Attributes:
        metrics: functions of all outputs of `predict` and all targets of the held-out examples, both `[N, ...]`, each
            of which returns one number, such as `runner.metrics.auc`. A metric has the name of its function.
        per_target: functions of the outputs and the values of one target, both `[N]`, where the data has several; the
            metrics are `name/target`.
    """

    metrics: Sequence[Callable[..., float]] = ()
    per_target: Sequence[Callable[..., float]] = ()

    declared_metrics = property(lambda self: self._whole.declared_metrics)

    def __post_init__(self):
        self._whole.check()

    @property
    def _whole(self) -> Whole:
        return Whole(tuple(self.metrics), tuple(self.per_target))

    def __call__(
        self, key: Key, scenario: Scenario, state: PyTree, source: Source
    ) -> tuple[dict[str, float], Figures]:
        """Returns the metrics and the figures of a state.

        A metric `confusion` [C, C] becomes a figure; any other array is expanded into `name/0`, `name/1` and so on. A
        scenario that predicts numbers adds the figures `fit` and `residuals`, one that reconstructs adds
        `reconstructions`, and one that generates text adds `samples`. If there are metrics of all outputs, and these
        are logits of classes, the figures `reliability` and `classes` are added, and the metric `majority`, the
        accuracy of always predicting the most frequent class of the training rows.

        Raises:
            ValueError: `evaluate` does not return one value for each example, or a function not one number.
        """
        gathers = self._whole.needs_outputs(source.spec)
        batches = passes(key, source)
        first = list(itertools.islice(batches, math.ceil(POINTS / source.batch_size)))
        means, gathered = _means(key, scenario, state, source, itertools.chain(first, batches), gathers)
        drawn = _drawn(key, scenario, state, source, first)
        if "confusion" in means:
            matrix, labels = means.pop("confusion"), source.spec.labels
            drawn["confusion"] = functools.partial(figures.confusion, matrix, labels)
        metrics = {name: float(mean[at]) for name, at, mean in _spread(means)}
        if not gathers:
            return metrics, drawn
        outputs, targets = gathered
        of_all, more = self._whole(outputs, targets, source.spec)
        return metrics | of_all, drawn | more

    def compile(self, scenario: Scenario, state: PyTree, source: Source) -> None:
        """Compiles the evaluation, from shapes and dtypes of the state.

        A stream is left out, because reading from it would change its position.
        """
        if not hasattr(source, "resumable"):
            key, gathers = jax.random.key(0), self._whole.needs_outputs(source.spec)
            number, item, _ = next(passes(key, source))
            structure, leaves = split(scenario)
            _evaluate_batch.lower(structure, gathers, leaves, key, number, state, source, item).compile()

    def names(self, scenario: Scenario, state: PyTree, source: Source) -> tuple[str, ...]:
        """Returns the names of the metrics, from shapes alone; nothing is computed.

        Raises:
            ValueError: `evaluate` does not return one value for each example, the scenario has no outputs for the
                metrics that need them, or there are too many to keep.
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
        own = [name for name, _, _ in _spread(shapes)]
        return *own, *self._whole.names(scenario, state, source, own)


def passes(key: Key, source: Source, limit: int | None = None) -> Iterator[tuple[int, PyTree, int | None]]:
    """Yields the batches of one pass over a source, or over its first `limit` examples.

    Yields:
        The number of a batch, its item of the feed, and how many of its rows are not padding (None: all).
    """
    size = min((number for number in (source.size, limit) if number is not None), default=None)
    batches = 1 if size is None else math.ceil(size / source.batch_size)
    start, length = 0, 1
    while start < batches:  # a pass may not fit into memory
        length = min(length, batches - start)
        feed = source.feed(data_key(key), start, length)
        for index in range(length):
            rows = (
                None if size is None else min(source.batch_size, size - (start + index) * source.batch_size)
            )
            yield start + index, jax.tree.map(operator.itemgetter(index), feed), rows
        start += length
        length = max(1, AT_ONCE * length // max(1, sum(rows.nbytes for rows in jax.tree.leaves(feed))))


def data_key(key: Key) -> Key:
    """Derives the key that an evaluation's data is drawn from."""
    return jax.random.fold_in(key, 0)


def _means(
    key: Key, scenario: Scenario, state: PyTree, source: Source, batches: Iterable, gathers: bool
) -> tuple[Metrics, list[np.ndarray]]:
    """Returns the means, and if `gathers` is true all outputs and targets of the batches."""
    structure, leaves = split(scenario)
    sums, gathered = None, []
    for number, item, rows in batches:
        values, *outputs = _evaluate_batch(structure, gathers, leaves, key, number, state, source, item)
        _check(values, source)
        batch = {name: _sum(value, rows) for name, value in values.items()}
        sums = batch if sums is None else jax.tree.map(operator.add, sums, batch)
        gathered.append([np.asarray(each)[:rows] for each in outputs])
    means = {name: total / count for name, (total, count) in (sums or {}).items() if count}
    return _summarize(scenario, means), [np.concatenate(parts) for parts in zip(*gathered, strict=True)]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _evaluate_batch(structure, gathers, leaves, key, number, state, source, item):
    batch_key, evaluate_key = (
        jax.random.fold_in(half, number) for half in (data_key(key), jax.random.fold_in(key, 1))
    )
    batch, scenario = source.batch(batch_key, item), join(structure, leaves)
    outputs = (scenario.predict(state, batch["x"]), batch["y"]) if gathers else ()
    return scenario.evaluate(evaluate_key, state, batch), *outputs


def _check(values: Metrics, source: Source) -> None:
    for name, value in values.items():
        shape = jnp.shape(value.total if isinstance(value, Mean) else value)
        if not shape or (source.size is not None and shape[0] != source.batch_size):
            raise ValueError(
                f"{name}: evaluate returns an array of shape {shape} for a batch of {source.batch_size}; "
                "it must return one value for each example, [B, ...]"
            )


def _sum(values: PyTree, rows: int | None) -> tuple[np.ndarray, float]:
    if isinstance(values, Mean):
        total, count = (np.asarray(part, np.float64)[:rows] for part in values)
        return np.where(count > 0, total, 0).sum(), count.sum()
    values = np.asarray(values, np.float64)[:rows]
    return values.sum(0), len(values)


def _summarize(scenario: Scenario, means: Metrics) -> Metrics:
    if not supports(scenario, Summarizing):
        return means
    with np.errstate(all="ignore"):  # the R2 of a constant target is NaN, which is not an error
        return dict(scenario.summarize(means))


def _spread(means: Metrics) -> Iterator[tuple[str, tuple[int, ...], PyTree]]:
    for name, mean in means.items():
        mean = mean if isinstance(mean, jax.ShapeDtypeStruct) else np.asarray(mean)
        for at in np.ndindex(mean.shape):
            yield "/".join([name, *map(str, at)]), at, mean


def _outputs(
    method: str, key: Key, scenario: Scenario, state: PyTree, source: Source, batches: list
) -> list[np.ndarray]:
    """Returns the x and y (or x again) of the batches, and the scenario's outputs for x, each [N, ...]."""
    structure, leaves = split(scenario)
    parts = [
        [
            np.asarray(part)[:rows]
            for part in _apply(structure, method, leaves, key, number, state, source, item)
        ]
        for number, item, rows in batches
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(structure, method, leaves, key, number, state, source, item):
    batch, scenario = source.batch(jax.random.fold_in(data_key(key), number), item), join(structure, leaves)
    has_spread = method == "predict" and supports(scenario, Spreading)
    spread = [scenario.spread(state, batch["x"])] if has_spread else []
    return batch["x"], batch.get("y", batch["x"]), getattr(scenario, method)(state, batch["x"]), *spread


def _drawn(key: Key, scenario: Scenario, state: PyTree, source: Source, batches: list) -> dict[str, Draw]:
    """Returns the figures of what a scenario predicts, reconstructs or writes."""
    outputs = lambda method: _outputs(method, key, scenario, state, source, batches)
    drawn = {}
    if supports(scenario, Predicting) and _has_real_targets(source.spec):
        x, y, prediction, *spread = outputs("predict")
        drawn |= _fit(x, y, prediction, *spread) | _residuals(y, prediction, target_names(source.spec))
    if supports(scenario, Reconstructing):
        x, _, reconstruction = outputs("reconstruct")
        drawn["reconstructions"] = functools.partial(figures.reconstructions, x, reconstruction)
    if supports(scenario, Sampling) and source.spec.vocabulary:
        tokens = np.asarray(_write(*split(scenario), jax.random.fold_in(key, 2), state))
        texts = [decode(source.spec.vocabulary, row) for row in tokens]
        drawn["samples"] = functools.partial(figures.texts, texts)
    return drawn


def _fit(x: np.ndarray, y: np.ndarray, prediction: np.ndarray, *spread: np.ndarray) -> dict[str, Draw]:
    if prediction.shape != y.shape:
        return {}
    if x.size == y.size == len(y):
        draw = functools.partial(figures.fit, *(each.ravel() for each in (x, y, prediction, *spread)))
    else:
        draw = functools.partial(figures.against, y.ravel(), prediction.ravel())
    return {"fit": draw}


def _residuals(y: np.ndarray, prediction: np.ndarray, names: tuple[str, ...]) -> dict[str, Draw]:
    if prediction.shape != y.shape:
        return {}
    columns = [each.reshape(-1, len(names) or 1) for each in (prediction, y - prediction)]
    return {"residuals": functools.partial(diagnostics.residuals, *columns, names or ("y",))}


def _has_real_targets(spec: Spec) -> bool:
    has_both = {"x", "y"} <= spec.features.keys()
    return has_both and spec.classes is None and jnp.issubdtype(spec.features["y"].dtype, jnp.floating)


@functools.partial(jax.jit, static_argnums=0)
def _write(structure, leaves, key, state):
    return join(structure, leaves).sample(key, state, TEXTS)
