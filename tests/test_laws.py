"""The laws of the protocol, over every scenario that has a configuration."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner import stretch
from runner.build import build
from runner.checkpoints import Checkpoints
from runner.compose import compose
from runner.datasets import Arrays
from runner.evaluators import Means
from runner.loop import Loop
from runner.stretch import Keys, Program
from runner.types import Dataset

CONF = Path(stretch.__file__).parent / "conf"
SCENARIOS = sorted(path.stem for path in (CONF / "scenario").glob("*.yaml"))
STEPS = 11
FORMS = {
    "as it is": [],
    "options on": ["debug=laws_{scenario}"],
    "an ensemble": ["debug=laws_{scenario}", "ensemble=3"],
}

forms = pytest.mark.parametrize(
    ("scenario", "form"),
    [
        pytest.param(scenario, form, marks=pytest.mark.xdist_group(f"{scenario}, {form}"))
        for scenario in SCENARIOS
        for form in FORMS
    ],
)


@functools.cache
def parts(scenario: str, form: str, *overrides: str):
    small = [f"scenario={scenario}", "steps=40", *(text.format(scenario=scenario) for text in FORMS[form])]
    built = build(compose([*small, *overrides]))
    evaluator = dataclasses.replace(built.evaluator, size=16) if hasattr(built.evaluator, "size") else Means()
    return built._replace(dataset=ragged(built.dataset), evaluator=evaluator)


def ragged(dataset: Dataset) -> Dataset:
    """Cuts arrays so that no batch divides them: 53 rows to train on and 21 held out, in batches of 8."""
    if not isinstance(dataset.train, Arrays):
        return dataset
    spec = dataset.spec
    rows = lambda source, size: {name: values[:size] for name, values in source.arrays.items()}
    held_out = Arrays(rows(dataset.validation, 21), 8, spec=spec, shuffle=False)
    return Dataset(Arrays(rows(dataset.train, 53), 8, spec=spec), held_out, held_out)


@functools.cache
def program(scenario: str, form: str) -> Program:
    built = parts(scenario, form)
    return Program(built.scenario, built.dataset.train, Keys.of(jax.random.key(0)))


def batch_of(made: Program, step: int = 0):
    """Gives one batch as a step gets it."""
    feed = made._take(step, 1)
    seen = []

    class Spy:
        batches_per_step = made.batches

        def step(self, key, state, batch):
            seen.append(batch)
            return state, {}

    rest = Spy()
    item = jax.tree.map(lambda rows: rows[0], feed)
    with jax.disable_jit():
        stretch._one(rest, None, (), None, made.keys, step, made.source, item)
    return seen[0]


@functools.cache
def stepped(scenario: str, form: str):
    """Gives the compiled step and its arguments: a key, the first state, a batch."""
    made = program(scenario, form)
    return jax.jit(parts(scenario, form).scenario.step), jax.random.key(1), made.init(), batch_of(made)


def equal(one, two) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in leaves)


def run(scenario: str, form: str, steps: int, **settings):
    built = parts(scenario, form)
    beside = {
        name: settings.pop(name) for name in ("checkpoints", "evaluator", "writers") if name in settings
    }
    loop = Loop(steps=steps, **{"log_every": 5, **settings})
    return loop.run(built.scenario, built.dataset, key=jax.random.key(0), **beside)


@functools.cache
def reference(scenario: str, form: str):
    return jax.device_get(run(scenario, form, STEPS))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_names_the_options_that_its_laws_are_tried_with(scenario):
    assert (CONF / "debug" / f"laws_{scenario}.yaml").is_file()


@forms
def test_a_step_is_a_pure_function_and_leaves_the_given_state_unharmed(scenario, form):
    step, key, state, batch = stepped(scenario, form)
    before = jax.device_get(state)
    first, second = step(key, state, batch), step(key, state, batch)
    assert equal(first, second)
    assert equal(state, before)
    assert not equal(first[0], state)


@forms
def test_the_state_holds_arrays_only_and_keeps_their_shapes_and_dtypes(scenario, form):
    step, key, state, batch = stepped(scenario, form)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    after, _ = step(key, state, batch)
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert shapes(after) == shapes(state)


@forms
def test_no_two_leaves_of_the_first_state_share_a_buffer(scenario, form):
    leaves = jax.tree.leaves(program(scenario, form).init())
    addresses = [leaf.unsafe_buffer_pointer() for leaf in leaves if leaf.size]
    assert len(set(addresses)) == len(addresses)


@forms
def test_all_steps_share_one_compile_and_other_numbers_share_it_too(scenario, form):
    run(scenario, form, STEPS)
    compiled = stretch._stretch._cache_size()
    run(scenario, form, STEPS + 6, log_every=3)
    slower = parts(scenario, form, "optimizer.learning_rate=2e-4", "optimizer.b1=0.7")
    Loop(steps=7).run(slower.scenario, slower.dataset, key=jax.random.key(5))
    assert stretch._stretch._cache_size() == compiled


@forms
def test_steps_may_be_looped_and_mapped_over_keys(scenario, form):
    made, algorithm = program(scenario, form), parts(scenario, form).scenario
    batch, spec = batch_of(made), made.spec

    def train(key):
        body = lambda i, state: algorithm.step(jax.random.fold_in(key, i), state, batch)[0]
        return jax.lax.fori_loop(0, 3, body, algorithm.init(key, spec))

    states = jax.jit(jax.vmap(train))(jax.random.split(jax.random.key(0), 2))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(states))


@forms
def test_metrics_of_a_step_are_finite_numbers(scenario, form):
    step, key, state, batch = stepped(scenario, form)
    _, metrics = step(key, state, batch)
    assert metrics
    assert all(leaf.shape == () and jnp.isfinite(leaf) for leaf in jax.tree.leaves(metrics))


@forms
def test_evaluation_gives_one_value_for_each_example_and_never_changes_the_trajectory(scenario, form):
    built = parts(scenario, form)
    source = built.dataset.validation
    key, state = jax.random.key(3), stepped(scenario, form)[2]
    batch = source.batch(key, jax.tree.map(lambda rows: rows[0], source.feed(key, 0, 1)))
    values = jax.jit(built.scenario.evaluate)(key, state, batch)
    assert all(len(value) == source.batch_size or source.size is None for value in values.values())
    judged = run(scenario, form, STEPS, evaluator=built.evaluator, evaluate_every=6)
    assert equal(judged, reference(scenario, form))


@forms
def test_intervals_do_not_change_the_trajectory(scenario, form):
    cut = run(scenario, form, STEPS, log_every=2, evaluate_every=3, save_every=7)
    assert equal(cut, reference(scenario, form))


@forms
def test_steps_in_a_call_each_equal_fused_ones_to_rounding(scenario, form):
    single, fused = run(scenario, form, STEPS, fuse="never"), reference(scenario, form)
    for one, other in zip(jax.tree.leaves(single), jax.tree.leaves(fused), strict=True):
        # On the whole, for Adam's first steps are as long for the least gradient: where BatchNorm takes a bias out
        # again, its gradient is rounding alone.
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.linalg.norm(one - other) <= 1e-3 * np.linalg.norm(other) + 1e-4 * np.sqrt(one.size)


@forms
def test_a_run_cut_in_two_by_a_checkpoint_equals_the_whole_bit_for_bit(scenario, form, tmp_path):
    first = Checkpoints(tmp_path / "checkpoints")
    run(scenario, form, 6, checkpoints=first, save_every=4)
    first.close()
    second = Checkpoints(tmp_path / "checkpoints")
    whole = run(scenario, form, STEPS, checkpoints=second, save_every=4)
    second.close()
    assert equal(whole, reference(scenario, form))
