"""Laws of a scenario that are checked by short runs."""

import tempfile
from pathlib import Path

import jax
import numpy as np

from runner.core import PyTree, named_leaves
from runner.core.leaves import begins, listed
from runner.core.protocol import Mean
from runner.loop import compiled
from runner.scenarios import Frozen
from runner.testing.comparison import distance, equal, require_equal
from runner.testing.recorded import Untied
from runner.testing.results import Skip, expect
from runner.testing.subject import STEPS, Subject

RANDOM = "random_bits"  # the primitive that all functions of jax.random end in


def a_short_run_stays_finite(subject: Subject) -> str:
    """Checks the state and the metrics of a short run, and that it changes the state."""
    after, records = subject.outcome
    for name, leaf in named_leaves(after).items():
        expect(not _is_float(leaf) or np.isfinite(leaf).all(), f"{name} of the state is not finite")
    for record in records:
        for name, value in record.items():
            expect(np.isfinite(value).all(), f"metric {name} is not finite")
    expect(not equal(after, subject.first), "step returns the state unchanged")
    return ", ".join(
        f"{name} {float(value):.3g}" for name, value in records[-1].items() if np.ndim(value) == 0
    )


def all_steps_share_one_compiled_program(subject: Subject) -> None:
    """Checks that no step, interval or float among the settings compiles again."""
    _ = subject.reference
    subject.run()  # which may first release programs of earlier runs
    programs = _compiled()
    subject.run(STEPS + 6, log_every=3)
    subject.run(7, scenario=subject.with_other_floats(), seed=5, log_every=10)
    expect(
        _compiled() == programs, f"{_compiled() - programs} programs more for other steps and other floats"
    )


def a_step_draws_from_its_key_if_it_draws_at_all(subject: Subject) -> str:
    """Checks that another key of the step changes the state."""
    if RANDOM not in subject.traced[0].program:
        return "nothing in a step is random"
    keys = subject.program.keys
    same, other = (subject.one_step(subject.first, key=key)[0] for key in (keys.step, jax.random.key(9)))
    expect(not equal(same, other), "step draws random numbers that do not depend on its key")
    return "random"


def other_seeds_begin_with_other_parameters(subject: Subject) -> None:
    """Checks that the first state depends on its key."""
    other = subject.program
    other.keys = other.keys._replace(init=jax.random.key(9))
    if RANDOM not in subject.traced_init.program:
        raise Skip("nothing in the first state is random")
    expect(not equal(other.init(), subject.first), "init draws random numbers that do not depend on its key")


def every_batch_of_a_step_matters(subject: Subject) -> str:
    """Checks that the state after one step depends on each of its batches."""
    if not subject.spec.features:
        raise Skip("the scenario takes no data")
    whole = subject.run(1)
    for blank in range(subject.batches or 1):
        changed = subject.run(1, train=subject.train.changed(blank=blank))
        which = "the batch" if subject.batches is None else f"batch {blank} of {subject.batches}"
        expect(not equal(changed, whole), f"the state after a step does not depend on {which}")
    return f"{subject.batches or 1} in a step"


def every_parameter_changes(subject: Subject) -> str:
    """Checks that a short run changes each leaf below a name `params`, but for those that `freeze` names."""
    after, first = named_leaves(subject.reference), named_leaves(jax.device_get(subject.first))
    frozen = subject.scenario.names if isinstance(subject.scenario, Frozen) else ()
    names = [name for name in first if "params" in name.split(".") and not begins(name, frozen)]
    if not names:
        raise Skip("no leaf of the state has a name with params in it")
    constant = [name for name in names if np.array_equal(after[name], first[name])]
    expect(not constant, f"{len(constant)} of {len(names)} leaves never change: {listed(constant)}")
    return f"{len(names)} leaves"


def a_nets_own_state_changes_in_training(subject: Subject) -> None:
    """Checks that the state of each net that is called, such as statistics of BatchNorm, is that after its calls."""
    first, after = (named_leaves(jax.device_get(state)) for state in (subject.first, subject.reference))
    names = [name for name in first if name.endswith("net_state.calls")]
    if not names:
        raise Skip("no leaf of the state is the net_state of a net")
    for name in names:
        net = name.removesuffix(".calls")
        expect(
            (after[name] > first[name]).all(),
            f"{net} stays as it was: keep what the net returns beside its outputs",
        )


def the_evaluation_of_an_example_does_not_depend_on_the_others(subject: Subject) -> None:
    """Checks that the metrics of one row stay the same if all other rows are replaced by copies of it."""
    batch = subject.held_out_batch()
    if not batch:
        raise Skip("the scenario takes no data")
    alone = {name: rows[:1].repeat(len(rows), 0) for name, rows in batch.items()}
    evaluate = jax.jit(subject.scenario.evaluate)
    key, state = jax.random.key(3), subject.reference
    among, alone = (evaluate(key, state, rows) for rows in (batch, alone))
    for name, value in among.items():
        one, other = (np.asarray(_per_example(rows)[0], np.float64) for rows in (value, alone[name]))
        expect(
            np.allclose(one, other, rtol=1e-3, atol=1e-4),
            f"{name} of a row depends on the other rows of its batch",
        )


def logging_evaluation_and_saving_do_not_change_the_trajectory(subject: Subject) -> None:
    """Checks that other intervals, and with them other lengths of the compiled chunks, lead to the same bits."""
    changed = subject.run(log_every=2, evaluate_every=3, save_every=7, evaluated=True)
    require_equal(changed, subject.reference)


def a_run_cut_in_two_by_a_checkpoint_equals_the_whole_bit_for_bit(subject: Subject) -> None:
    """Checks that the state is all that the next steps depend on."""
    reference = subject.reference
    with tempfile.TemporaryDirectory() as folder:
        for steps in (STEPS // 2, STEPS):
            with Untied(Path(folder) / "checkpoints") as checkpoints:
                whole = subject.run(steps, checkpoints=checkpoints)
    require_equal(whole, reference)


def single_steps_equal_fused_ones_to_rounding(subject: Subject) -> str:
    """Checks that one step in a call does what many in one call do."""
    fused = subject.reference if subject.fuse == "always" else subject.run(fuse="always")
    largest = distance(subject.run(fuse="never"), fused, subject.slack)
    return f"the largest difference of a leaf is {largest:.1e} of its norm"


def two_devices_equal_one_to_rounding(subject: Subject) -> str:
    """Checks that a batch that is shared between two devices leads to the same state."""
    if not subject.spec.features:
        raise Skip("the scenario takes no data")
    if jax.local_device_count() < 2 or subject.batch_size % 2:
        raise Skip("JAX sees one device" if jax.local_device_count() < 2 else "the batch size is odd")
    largest = distance(subject.run(devices=2), subject.reference, subject.slack)
    return f"the largest difference of a leaf is {largest:.1e} of its norm"


def the_loss_falls_when_one_batch_is_repeated(subject: Subject) -> str:
    """Checks that a hundred steps on the data of one step lower the metric `loss`."""
    if not subject.spec.features:
        raise Skip("the scenario takes no data")
    if "loss" not in subject.traced[0].shapes[1]:
        raise Skip("step returns no metric called loss")
    train = subject.train.changed(period=subject.batches or 1)

    def loss(state):  # of the same draws, before and after
        losses = [subject.one_step(state, step, train=train)[1]["loss"] for step in range(10)]
        return float(np.mean(losses))

    _ = subject.reference
    before, after = loss(subject.first), loss(subject.run(100, train=train))
    expect(after < before, f"it is {before:.4g} at first, and {after:.4g} after 100 steps")
    return f"from {before:.4g} to {after:.4g} in 100 steps"


def float32_is_precise_enough(subject: Subject) -> str:
    """Checks that five steps in float64 end near those in float32, if nothing in a step is random."""
    if RANDOM in subject.traced[0].program:
        raise Skip("a step is random, and draws other numbers in float64")
    single = _steps(subject, lambda leaf: leaf)
    with jax.enable_x64(True):
        double = _steps(subject, lambda leaf: leaf.astype(np.float64) if _is_float(leaf) else leaf)
    return f"the largest difference of a leaf is {distance(single, double, subject.slack):.1e} of its norm"


def _steps(subject: Subject, cast) -> PyTree:
    state = jax.tree.map(lambda leaf: cast(np.asarray(leaf)), jax.device_get(subject.first))
    step = jax.jit(subject.scenario.step)
    for number in range(5):
        batch = {name: cast(np.asarray(rows)) for name, rows in subject.batch(number).items()}
        state, _ = step(jax.random.fold_in(jax.random.key(0), number), state, batch)
    return jax.device_get(state)


def _compiled() -> int:
    return sum(jitted._cache_size() for jitted in (compiled._chunk, compiled._single))  # pyright: ignore[reportAttributeAccessIssue]


def _per_example(values: PyTree) -> jax.Array:
    return values.total if isinstance(values, Mean) else values


def _is_float(leaf) -> bool:
    return np.issubdtype(leaf.dtype, np.floating)
