"""Checks of nets, datasets, evaluators and writers on their own."""

import operator
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Dataset, Evaluator, NetLike, PyTree, Scenario, Source, Writer, lift, named_leaves
from runner.core.abilities import Naming, supports
from runner.evaluators.means import passes
from runner.testing.results import Result, Skip, expect, require_passed, results_of

BATCHES = 5  # that are compared


class _Net(NamedTuple):
    net: NetLike
    inputs: tuple[jax.Array, ...]

    def created(self, seed: int = 0) -> tuple:
        return lift(self.net).init(jax.random.key(seed), *self.inputs, is_training=True)

    def outputs(self, is_training: bool, inputs: tuple | None = None) -> tuple:
        call = lambda *inputs: lift(self.net).apply(
            *self.created(), jax.random.key(1), *inputs, is_training=is_training
        )
        return jax.jit(call)(*(self.inputs if inputs is None else inputs))


def the_net_is_created_and_called(case: _Net) -> str:
    """Checks that init and apply accept the inputs, and that each row of them has an output."""
    outputs, _ = case.outputs(is_training=True)
    rows = case.inputs[0].shape[0]
    for leaf in jax.tree.leaves(outputs):
        expect(leaf.shape[:1] == (rows,), f"the net returns shape {leaf.shape} for {rows} rows")
        expect(jnp.isfinite(leaf).all(), "the net returns numbers that are not finite")
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(outputs))


def parameters_depend_on_the_key(case: _Net) -> str:
    """Checks that another key creates other parameters."""
    one, other = (jax.tree.leaves(case.created(seed)[0]) for seed in (0, 1))
    if not one:
        raise Skip("the net has no parameters")
    expect(
        any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True)),
        "parameters do not depend on the key",
    )
    return f"{sum(leaf.size for leaf in one)} parameters"


def a_call_keeps_the_shapes_of_the_nets_own_state(case: _Net) -> None:
    """Checks that the state of the net after a call can be that before the next one."""
    _, before = case.created()
    for is_training in (True, False):
        _, after = case.outputs(is_training)
        shapes = lambda tree: {name: (leaf.shape, leaf.dtype) for name, leaf in named_leaves(tree).items()}
        expect(
            shapes(before) == shapes(after),
            f"the state of the net changes from {shapes(before)} to {shapes(after)}",
        )


def rows_do_not_depend_on_each_other_outside_of_training(case: _Net) -> None:
    """Checks that the output of the first row stays the same if all rows are copies of it."""
    copies = tuple(rows[:1].repeat(len(rows), 0) for rows in case.inputs)
    for one, other in zip(
        *(jax.tree.leaves(case.outputs(False, x)[0]) for x in (case.inputs, copies)), strict=True
    ):
        expect(
            np.allclose(one[0], other[0], rtol=1e-3, atol=1e-5),
            "the output of a row depends on the other rows",
        )


def gradients_are_finite(case: _Net) -> None:
    """Checks the gradient of the mean of squared outputs by each parameter."""
    params, net_state = case.created()

    def loss(params):
        outputs, _ = lift(case.net).apply(
            params, net_state, jax.random.key(1), *case.inputs, is_training=True
        )
        return sum(jnp.square(leaf).mean() for leaf in jax.tree.leaves(outputs))

    for name, leaf in named_leaves(jax.jit(jax.grad(loss))(params)).items():
        expect(jnp.isfinite(leaf).all(), f"the gradient of {name} is not finite")


def check_net(net: NetLike, *inputs: jax.Array) -> list[Result]:
    """Checks a net on its own.

    Args:
        net: any net that `runner.core.lift` accepts.
        inputs: arrays `[B, ...]` of at least two rows that differ.

    Raises:
        AssertionError: a check failed; one line for each.
    """
    checks = (
        the_net_is_created_and_called,
        parameters_depend_on_the_key,
        a_call_keeps_the_shapes_of_the_nets_own_state,
        rows_do_not_depend_on_each_other_outside_of_training,
        gradients_are_finite,
    )
    return require_passed(results_of(checks, _Net(net, tuple(map(jnp.asarray, inputs)))))


class _Data(NamedTuple):
    sources: Mapping[str, Source]

    def batches(self, name: str, start: int, length: int) -> list:
        source, key = self.sources[name], jax.random.key(3)
        feed = source.feed(key, start, length)
        items = [jax.tree.map(operator.itemgetter(n), feed) for n in range(length)]
        return [source.batch(jax.random.fold_in(key, start + n), item) for n, item in enumerate(items)]


def batches_have_the_shapes_of_the_spec(case: _Data) -> str:
    """Checks the first batches of each source, and that their numbers are finite."""
    for name, source in case.sources.items():
        expected = {
            key: ((source.batch_size, *feature.shape), feature.dtype)
            for key, feature in source.spec.features.items()
        }
        for batch in case.batches(name, 0, 2):
            found = {key: (rows.shape, str(rows.dtype)) for key, rows in batch.items()}
            expect(found == expected, f"{name}: a batch has {found}; its spec says {expected}")
            for key, rows in batch.items():
                expect(np.isfinite(np.asarray(rows)).all(), f"{name}: {key} has numbers that are not finite")
    return f"batches of {', '.join(str(source.batch_size) for source in case.sources.values())} rows"


def batches_depend_on_their_number_alone(case: _Data) -> str:
    """Checks that batches are the same when they are asked for again, some at a time, or from a later start."""
    for name, source in case.sources.items():
        whole = case.batches(name, 0, BATCHES)
        if not getattr(source, "resumable", True):
            raise Skip(f"{name}: a stream that cannot start again; a run on it cannot be resumed")
        parts = [*case.batches(name, 0, 2), *case.batches(name, 2, BATCHES - 2)]
        for number, (one, other) in enumerate(zip(whole, parts, strict=True)):
            for key in one:
                same = np.array_equal(np.asarray(one[key]), np.asarray(other[key]))
                expect(same, f"{name}: {key} of batch {number} depends on how it is asked for")
    return f"{BATCHES} batches"


def a_pass_over_held_out_data_visits_each_row_once(case: _Data) -> str:
    """Checks that two passes see the same rows, which is what makes two evaluations comparable."""
    counts = []
    for name in [name for name in case.sources if name != "train"]:
        source = case.sources[name]
        if source.size is None:
            raise Skip(f"{name}: a source without an end")
        sums = []
        for _ in range(2):
            rows = []
            for number, item, count in passes(jax.random.key(5), source):
                batch = source.batch(jax.random.fold_in(jax.random.key(5), number), item)
                rows.append({key: np.asarray(values)[:count] for key, values in batch.items()})
            sums.append({key: np.concatenate([batch[key] for batch in rows]) for key in rows[0]})
        for key, values in sums[0].items():
            expect(np.array_equal(values, sums[1][key]), f"{name}: {key} differs from pass to pass")
        counts.append(f"{source.size} {name} rows")
    return ", ".join(counts)


def check_dataset(data: Dataset | Source) -> list[Result]:
    """Checks a dataset, or a training source alone.

    Raises:
        AssertionError: a check failed; one line for each.
    """
    sources = dict(zip(Dataset._fields, data, strict=True)) if isinstance(data, Dataset) else {"train": data}
    checks = (
        batches_have_the_shapes_of_the_spec,
        batches_depend_on_their_number_alone,
        a_pass_over_held_out_data_visits_each_row_once,
    )
    return require_passed(results_of(checks, _Data(sources)))


class _Evaluation(NamedTuple):
    evaluator: Evaluator[PyTree]
    scenario: Scenario[PyTree]
    source: Source

    def __call__(self) -> tuple:
        state = jax.jit(self.scenario.init)(jax.random.key(0), self.source.spec)
        before = jax.device_get(state)
        metrics, figures = self.evaluator(jax.random.key(1), self.scenario, state, self.source)
        for (name, one), other in zip(named_leaves(before).items(), jax.tree.leaves(state), strict=True):
            expect(np.array_equal(one, np.asarray(other)), f"the evaluation changes {name} of the state")
        return metrics, figures


def metrics_are_single_numbers(case: _Evaluation) -> str:
    """Checks the metrics of a first state, which the evaluation leaves as it is."""
    metrics, _ = case()
    expect(metrics, "the evaluation returns no metrics")
    for name, value in metrics.items():
        expect(np.ndim(value) == 0, f"metric {name} has shape {np.shape(value)}; a metric is one number")
    return ", ".join(metrics)


def an_evaluation_repeats_itself(case: _Evaluation) -> None:
    """Checks that equal keys and states have equal metrics."""
    (one, _), (other, _) = case(), case()
    for name, value in one.items():
        expect(np.array_equal(value, other[name], equal_nan=True), f"metric {name} differs from call to call")


def metrics_have_the_announced_names(case: _Evaluation) -> None:
    """Checks `names`, if the evaluator has this method."""
    if not supports(case.evaluator, Naming):
        raise Skip("the evaluator does not announce its names")
    template = jax.eval_shape(case.scenario.init, jax.random.key(0), case.source.spec)
    names, found = set(case.evaluator.names(case.scenario, template, case.source)), set(case()[0])
    expect(names == found, f"names() and the metrics differ by {sorted(names ^ found)}")


def figures_are_drawn(case: _Evaluation) -> str:
    """Draws each figure."""
    from runner.writers.figures import png

    _, figures = case()
    if not figures:
        raise Skip("the evaluation returns no figures")
    for draw in figures.values():
        png(draw)
    return ", ".join(figures)


def check_evaluator(evaluator: Evaluator[PyTree], scenario: Scenario[PyTree], source: Source) -> list[Result]:
    """Checks an evaluator on the first state of a scenario and a held-out source.

    Raises:
        AssertionError: a check failed; one line for each.
    """
    checks = (
        metrics_are_single_numbers,
        an_evaluation_repeats_itself,
        metrics_have_the_announced_names,
        figures_are_drawn,
    )
    return require_passed(results_of(checks, _Evaluation(evaluator, scenario, source)))


Make = Callable[[Path], Writer]


def a_writer_takes_what_a_run_gives_it(make: Make) -> None:
    """Writes nothing, metrics, a NaN and a figure, as the loop does, and closes the writer."""
    from matplotlib.figure import Figure

    with tempfile.TemporaryDirectory() as folder:
        writer = make(Path(folder))
        try:
            writer.write(0, {}, {})
            writer.write(1, {"loss": 0.5}, {})
            writer.write(2, {"loss": float("nan"), "validation/a/b": 1.0}, {"picture": Figure})
        finally:
            writer.close()


def a_writer_keeps_what_is_there_when_a_run_is_resumed(make: Make) -> None:
    """Opens the writer again in the same folder, and checks that no file of the first time has become shorter."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for step in (1, 2):
            writer = make(Path(folder))
            writer.write(step, {"loss": 1 / step}, {})
            writer.close()
            sizes.append({path: path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()})
        for path, size in sizes[0].items():
            expect(sizes[1].get(path, 0) >= size, f"{path.name} becomes shorter when a run is resumed")


def check_writer(make: Make) -> list[Result]:
    """Checks a writer.

    Args:
        make: `make(directory)` returns the writer of a run directory.

    Raises:
        AssertionError: a check failed; one line for each.
    """
    checks = (a_writer_takes_what_a_run_gives_it, a_writer_keeps_what_is_there_when_a_run_is_resumed)
    return require_passed(results_of(checks, make))
