"""The laws of the protocol, over every scenario that has a configuration."""

import pytest
from cases import CONF, FORMS, SCENARIOS, subject

from runner.core.abilities import declared
from runner.core.declarations import direction
from runner.runs.described import EARLIER
from runner.testing import runs, shapes
from runner.testing.laws import LAWS
from runner.testing.results import name_of, result_of

# Each compiles one more program: a step of its own, one in float64, an evaluation.
SLOW = {
    runs.single_steps_equal_fused_ones_to_rounding,
    runs.float32_is_precise_enough,
    runs.the_evaluation_of_an_example_does_not_depend_on_the_others,
}
# Which laws do not apply to a scenario, in any or in one of its forms.
NOT_APPLIED = {
    runs.every_batch_of_a_step_matters: {"ppo"},
    shapes.evaluation_returns_one_value_for_each_example: {"ppo"},
    runs.the_evaluation_of_an_example_does_not_depend_on_the_others: {"ppo"},
    runs.the_loss_falls_when_one_batch_is_repeated: {"gan", "ode_gan", "ppo"},
    shapes.what_is_predicted_and_sampled_has_one_entry_for_each_example: {"ppo"},
    runs.two_devices_equal_one_to_rounding: set(SCENARIOS),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (name, form),
            marks=[
                pytest.mark.xdist_group(f"{name}, {form}"),
                *([pytest.mark.slow] if form == "an ensemble" else []),
            ],
            id=f"{name}, {form}",
        )
        for name in SCENARIOS
        for form in FORMS
    ],
)
def case(request):
    return request.param, subject(*request.param)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_names_the_options_that_its_laws_are_tried_with(scenario):
    assert (CONF / "debug" / f"laws_{scenario}.yaml").is_file()


@pytest.mark.parametrize(
    "law",
    [pytest.param(law, marks=[pytest.mark.slow] if law in SLOW else [], id=name_of(law)) for law in LAWS],
)
def test_every_scenario_follows_the_laws(case, law):
    (name, form), scenario = case
    result = result_of(law, scenario)
    if law is shapes.no_key_is_used_twice and (name, form) == ("ppo", "an ensemble"):
        # JAX's detector reports a key of the scan over an environment's steps once it is mapped over members, and none
        # in the scenario itself.
        assert "step uses a key twice" in result.detail
    elif law is runs.float32_is_precise_enough:
        assert result.outcome == "passed" or "random" in result.detail, result.detail
    else:
        assert result.outcome == ("skipped" if name in NOT_APPLIED.get(law, ()) else "passed"), result


def test_every_metric_of_an_evaluation_is_declared(case):
    _, scenario = case
    evaluator = scenario.evaluator
    names = evaluator.names(scenario.scenario, scenario.template, scenario.validation)
    declarations = declared(scenario.scenario, evaluator)
    assert {name.partition("/")[0] for name in names} <= declarations.keys()
    assert all(direction(name, EARLIER) == metric.mode for name, metric in declarations.items())
