"""The laws of the protocol, over every scenario that has a configuration."""

import jax
import numpy as np
import pytest
from cases import CONF, FORMS, SCENARIOS, STEPS, Case, Rows, Untied, trace
from jax.extend.core import Literal

from runner.core import named_leaves
from runner.core.abilities import declared
from runner.core.declarations import direction
from runner.loop import compiled
from runner.runs.described import EARLIER
from runner.storage.checkpoints import Checkpoints

DRAW_NOTHING = ("autoencoder", "language_model", "regression", "supervised")
ABILITIES = ("features", "predict", "reconstruct", "spread")


def every_case(slow=()):
    """Returns each scenario in each form; those of some forms are marked as slow."""
    return [
        pytest.param(
            (name, form),
            marks=[pytest.mark.xdist_group(f"{name}, {form}"), *([pytest.mark.slow] if form in slow else [])],
            id=f"{name}, {form}",
        )
        for name in SCENARIOS
        for form in FORMS
    ]


@pytest.fixture(scope="module", params=every_case(slow=["an ensemble"]))
def case(request):
    return Case(*request.param)


def equal(one, two) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in leaves)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_names_the_options_that_its_laws_are_tried_with(scenario):
    assert (CONF / "debug" / f"laws_{scenario}.yaml").is_file()


def test_a_step_is_a_pure_function_and_leaves_the_given_state_unharmed(case):
    first, second = case.traced
    assert first.program == second.program
    assert equal(first.constants, second.constants)
    assert not first.harmed


def test_the_state_holds_arrays_only_and_keeps_their_shapes_and_dtypes(case):
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(case.first))
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    after, _ = case.traced[0].shapes
    assert shapes(after) == shapes(case.first) == shapes(case.reference)


def test_no_two_leaves_of_the_first_state_share_a_buffer(case):
    variables = [variable for variable in case.traced_init.outputs if not isinstance(variable, Literal)]
    assert len(set(variables)) == len(variables)  # nor would they where `init` is not compiled
    addresses = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(case.first) if leaf.size]
    assert len(set(addresses)) == len(addresses)


def test_all_steps_share_one_compiled_call_and_other_floats_share_it_too(case):
    case.run()
    programs = compiled._chunk._cache_size()
    case.run(STEPS + 6, log_every=3)
    slower = case.build(learning_rate=2e-4, b1=0.7)
    case.run(7, slower, seed=5, log_every=10)
    assert compiled._chunk._cache_size() == programs


def test_steps_may_be_looped_and_mapped_over_keys(case):
    _, _, batch = case.arguments
    init, step = case.traced_init.function, case.traced[0].function

    def train(key, batch):
        body = lambda i, state: step(jax.random.fold_in(key, i), state, batch)[0]
        return jax.lax.fori_loop(0, 3, body, init(key, case.spec))

    keys = jax.random.split(jax.random.key(0), 2)
    states = jax.eval_shape(jax.vmap(train, (0, None)), keys, batch)
    shapes = jax.tree.map(lambda leaf: ((2, *leaf.shape), leaf.dtype), case.first)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), states) == shapes


def test_a_step_changes_the_state_and_its_metrics_are_finite_numbers(case):
    _, metrics = case.traced[0].shapes
    assert metrics
    assert all(leaf.shape == () for leaf in jax.tree.leaves(metrics))
    rows = Rows()
    after = case.run(2, log_every=1, arguments={"writers": [rows]})
    assert not equal(after, case.first)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
    assert all(np.isfinite(value) for record in rows.records for value in record.values())


def test_a_nets_own_state_changes_in_training(case):
    counts = [
        {name: leaf for name, leaf in named_leaves(state).items() if name.endswith("net_state.calls")}
        for state in (case.first, case.run(1))
    ]
    assert counts[0]
    for name, count in counts[0].items():
        assert (counts[1][name] > count).all(), name


def test_nets_are_in_training_mode_in_a_step_alone(case):
    key, state, _ = case.arguments
    acts = case.name == "ppo"  # what a policy does, and what its value net expects, is no training
    assert case.traced[0].modes == ({True, False} if acts else {True})
    assert trace(case.scenario.evaluate, key, state, case.held_out).modes == {False}
    for ability in ABILITIES:
        if hasattr(case.scenario, ability):
            assert trace(getattr(case.scenario, ability), state, case.held_out["x"]).modes == {False}
    if hasattr(case.scenario, "sample"):
        sample = lambda key, state: case.scenario.sample(key, state, 2)
        assert trace(sample, key, state).modes == {False}


def test_every_batch_of_a_step_affects_the_state(case):
    whole = case.run(1)
    has_data = bool(case.spec.features)  # ppo makes its own
    for blank in range(case.batches or 1):
        assert equal(case.run(1, blank=blank), whole) is not has_data, blank


def test_a_step_draws_from_its_key_if_anything_in_it_is_random(case):
    is_random = case.form != "as it is" or case.name not in DRAW_NOTHING
    keys = case.program.keys
    other = case.one_step(keys._replace(step=jax.random.key(9)))
    assert equal(other, case.one_step(keys)) is not is_random


def test_evaluation_gives_one_value_for_each_example_and_never_changes_the_trajectory(case):
    source = case.built.dataset.validation
    values = jax.eval_shape(case.scenario.evaluate, jax.random.key(3), case.first, case.held_out)
    assert all(len(value) == source.batch_size or source.size is None for value in values.values())
    evaluated = case.run(evaluate_every=6, arguments={"evaluator": case.built.evaluator})
    assert equal(evaluated, case.reference)


def test_every_metric_of_an_evaluation_is_declared(case):
    names = case.built.evaluator.names(case.scenario, case.first, case.built.dataset.validation)
    declarations = declared(case.scenario, case.built.evaluator)
    assert {name.partition("/")[0] for name in names} <= declarations.keys()
    assert all(direction(name, EARLIER) == metric.mode for name, metric in declarations.items())


def test_intervals_do_not_change_the_trajectory(case):
    assert equal(case.run(log_every=2, evaluate_every=3, save_every=7), case.reference)


def test_a_run_cut_in_two_by_a_checkpoint_equals_the_whole_bit_for_bit(case, tmp_path):
    first = Checkpoints(tmp_path / "checkpoints")
    case.run(6, arguments={"checkpoints": first})
    first.close()
    second = Untied(tmp_path / "checkpoints")
    whole = case.run(arguments={"checkpoints": second})
    second.close()
    assert equal(whole, case.reference)


# A step of its own is one more program to compile. The options have everything in it that the other forms have.
@pytest.mark.parametrize("case", every_case(slow=["as it is", "an ensemble"]), indirect=True)
def test_steps_in_a_call_each_equal_fused_ones_to_rounding(case):
    single, fused = case.run(fuse="never"), case.reference
    for one, other in zip(jax.tree.leaves(single), jax.tree.leaves(fused), strict=True):
        # On the whole, for Adam's first steps are as long for the least gradient: where BatchNorm takes a bias out
        # again, its gradient is rounding alone.
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.linalg.norm(one - other) <= 1e-3 * np.linalg.norm(other) + 1e-4 * np.sqrt(one.size)
