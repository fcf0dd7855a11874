"""Each fault in a scenario breaks the law that names it."""

import re

import faulty
import pytest

from runner.testing import check_scenario, runs, shapes
from runner.testing.laws import LAWS
from runner.testing.results import result_of, results_of
from runner.testing.subject import Subject

FIT, PURE = shapes.the_parts_fit_the_data, shapes.functions_are_pure_and_leave_their_arguments_unharmed
ARRAYS = shapes.the_state_holds_arrays_only_and_keeps_their_shapes_and_dtypes
MODES = shapes.nets_are_in_training_mode_in_a_step_alone
RESUME = runs.a_run_cut_in_two_by_a_checkpoint_equals_the_whole_bit_for_bit
FAULTS = {
    faulty.ReadsACounter: (PURE, "step differs from call to call"),
    faulty.ReadsTheClock: (PURE, "step differs from call to call"),
    faulty.CallsTheHost: (PURE, "step calls back to the host"),
    faulty.CountsOnTheHost: (PURE, "step calls back to the host"),
    faulty.ChangesItsArgument: (PURE, "changes an argument in place"),
    faulty.SharesArrays: (
        shapes.no_two_leaves_of_the_first_state_share_a_buffer,
        "average.batch_norm.offset and net",
    ),
    faulty.ChangesADtype: (FIT, "step changes count of the state from int32"),
    faulty.GrowsItsState: (FIT, r"step changes count of the state from int32\(\)"),
    faulty.BranchesOnAnArray: (FIT, "TracerBoolConversionError"),
    faulty.ReturnsAVectorAsAMetric: (FIT, r"step returns metric count of shape \(4,\)"),
    faulty.HoldsAPythonNumber: (ARRAYS, "count of the state is a number of Python"),
    faulty.ReusesItsKey: (shapes.no_key_is_used_twice, "step uses a key twice"),
    faulty.DrawsFromAConstantKey: (
        runs.a_step_draws_from_its_key_if_it_draws_at_all,
        "do not depend on its key",
    ),
    faulty.BeginsTheSameForEachSeed: (
        runs.other_seeds_begin_with_other_parameters,
        "do not depend on its key",
    ),
    faulty.ReadsTheFirstBatchOnly: (runs.every_batch_of_a_step_matters, "batch 1 of 2"),
    faulty.DropsTheNetsState: (runs.a_nets_own_state_changes_in_training, "net.net_state stays as it was"),
    faulty.EvaluatesInTrainingMode: (MODES, "predict calls a net with is_training=True"),
    faulty.TrainsInEvaluationMode: (MODES, "step calls its nets with is_training=False only"),
    faulty.AveragesTheWrongAxis: (
        shapes.evaluation_returns_one_value_for_each_example,
        r"error of shape \(1,\)",
    ),
    faulty.LooksAtOtherExamples: (
        runs.the_evaluation_of_an_example_does_not_depend_on_the_others,
        "error of a row depends on the other rows",
    ),
    faulty.DrawsOneTooMany: (
        shapes.what_is_predicted_and_sampled_has_one_entry_for_each_example,
        "sample returns",
    ),
    faulty.KeepsAParameter: (runs.every_parameter_changes, "2 of 6 leaves never change: net.params.linear_1"),
    faulty.DividesByZero: (runs.a_short_run_stays_finite, "loss is nan at step 1"),
    faulty.Ascends: (runs.the_loss_falls_when_one_batch_is_repeated, "it is .* at first"),
    faulty.LosesDigits: (runs.float32_is_precise_enough, "differs by"),
}


def subject(kind, **settings):
    return Subject(kind(**settings), faulty.data())


@pytest.mark.parametrize(
    ("kind", "law", "detail"),
    [
        pytest.param(
            kind,
            *found,
            id=kind.__name__,
            marks=[pytest.mark.slow] if found[0].__module__ == runs.__name__ else [],
        )
        for kind, found in FAULTS.items()
    ],
)
def test_a_fault_breaks_the_law_that_names_it(kind, law, detail):
    case = subject(kind, noise=0.0) if kind is faulty.LosesDigits else subject(kind)
    result = result_of(law, case)
    assert result.outcome == "failed", result
    assert re.search(detail, result.detail), result.detail


def test_an_honest_scenario_follows_all_laws():
    results = check_scenario(faulty.Honest(), faulty.data())
    assert [result.check for result in results if result.outcome == "skipped"] == [
        "two devices equal one to rounding",
        "float32 is precise enough",
    ]


def test_a_broken_law_is_an_assertion_that_names_it():
    with pytest.raises(AssertionError, match="no key is used twice: step uses a key twice"):
        check_scenario(faulty.ReusesItsKey(), faulty.data())


def test_without_parts_that_fit_no_other_law_is_tried():
    first, *others = results_of(LAWS, subject(faulty.GrowsItsState))
    assert first.outcome == "failed"
    assert {(result.outcome, result.detail) for result in others} == {
        ("skipped", "needs that the parts fit the data")
    }


def test_settings_that_compile_other_programs_are_counted(monkeypatch):
    case = subject(faulty.Honest)
    monkeypatch.setattr(
        case, "with_other_floats", lambda: faulty.Honest(optimizer=case.original.optimizer, noise=1)
    )
    result = result_of(runs.all_steps_share_one_compiled_program, case)
    assert result.detail == "1 programs more for other steps and other floats"
