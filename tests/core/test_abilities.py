import dataclasses
import re

import jax
import jax.numpy as jnp
import pytest
from small_runs import COMMANDS

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import abilities
from runner.core.abilities import ABILITIES, Predicting, Sampling, Summarizing, refuse_misspelled, supports
from runner.datasets import nothing
from runner.scenarios import Averaged, Ensemble, Frozen, Watched


@dataclasses.dataclass(frozen=True)
class Idle:
    """A scenario that does nothing; its subclasses can more, or have a slip in a name."""

    def init(self, key, spec):
        return jnp.zeros(())

    def step(self, key, state, batch):
        return state, {}

    def evaluate(self, key, state, batch):
        return {}


class Drawing(Idle):
    weights = "average"

    def sample(self, key, state, n):
        return jnp.zeros(n)


class Guarded(Idle):
    @property
    def sample(self):
        raise AssertionError("only asked whether it is there")


class Forwarding:
    """A wrapper that finds everything of its scenario by name."""

    def __init__(self, scenario):
        self.scenario = scenario

    def __getattr__(self, name):
        return getattr(self.scenario, name)


def slip(name, kind=Idle):
    return type("Blur", (kind,), {name: lambda self: None})()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda scenario: scenario,
        lambda scenario: Ensemble(scenario, 2),
        lambda scenario: Frozen(scenario, ()),
        lambda scenario: Ensemble(Watched(scenario, ()), 2),
        Forwarding,
    ],
)
def test_a_scenario_and_what_wraps_it_have_the_same_abilities(wrap):
    drawing, idle = wrap(Drawing()), wrap(Idle())
    assert supports(drawing, Sampling)
    assert not supports(drawing, Predicting)
    assert not supports(drawing, Summarizing)
    assert not supports(idle, Sampling)
    assert (abilities.weights(drawing), abilities.weights(idle)) == ("average", "raw")
    assert abilities.batches_per_step(drawing) is None


def test_a_scenario_with_averages_has_the_same_abilities_and_says_that_it_has_averages():
    averaged = Ensemble(Watched(Averaged(slip("sample"), 0.9), ()), 2)
    assert supports(averaged, Sampling)
    assert not supports(averaged, Predicting)
    assert abilities.weights(averaged) == "average"


def test_an_ensemble_of_what_predicts_knows_the_spread():
    parts = build(compose([*COMMANDS["supervised"], "ensemble=2"]))
    assert supports(parts.scenario, abilities.Spreading)
    assert not supports(parts.scenario.scenario, abilities.Spreading)


def test_no_property_is_evaluated_to_know_whether_it_is_there():
    assert supports(Guarded(), Sampling)
    refuse_misspelled(Guarded())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sampel", "sample"),
        ("output_shape", "output_shapes"),
        ("batch_per_step", "batches_per_step"),
        ("summarise", "summarize"),
        ("updates_per_steps", "updates_per_step"),
        ("weight", "weights"),
    ],
)
def test_a_misspelled_ability_is_refused_with_the_right_name_before_anything_runs(name, meant):
    message = f"Blur.{name}: nothing uses this; did you mean {meant}? If it is a helper, rename it"
    for scenario in (slip(name), Ensemble(slip(name), 2), Averaged(Frozen(slip(name), ()), 0.9)):
        with pytest.raises(ValueError, match=re.escape(message)):
            Loop(steps=1).run(scenario, nothing(), key=jax.random.key(0))


def test_a_misspelled_method_of_the_protocol_is_refused():
    half = type("Half", (), {"init": Idle.init, "step": Idle.step, "evalaute": Idle.evaluate})()
    with pytest.raises(ValueError, match=r"Half\.evalaute: nothing uses this; did you mean evaluate"):
        Loop(steps=1).prepare(half, nothing(), key=jax.random.key(0))


@pytest.mark.parametrize(
    ("name", "kind"), [("_sampel", Idle), ("samples", Drawing), ("latents", Idle), ("output_size", Idle)]
)
def test_private_names_other_words_and_names_near_what_is_there_are_helpers(name, kind):
    refuse_misspelled(slip(name, kind))


def test_a_setting_may_have_any_name():
    made = dataclasses.make_dataclass("Blur", [("weight", float, 1.0)], bases=(Idle,), frozen=True)
    refuse_misspelled(made())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_scenarios_of_the_package_have_no_such_names(command):
    refuse_misspelled(build(compose(COMMANDS[command])).scenario)


def test_every_optional_member_of_a_scenario_is_an_ability():
    known = {name for ability in ABILITIES for name in abilities.members(ability)}
    assert {"sample", "predict", "weights", "batches_per_step", "output_shapes", "standardize"} <= known
    assert len(known) == len(ABILITIES)
