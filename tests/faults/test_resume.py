import copy
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.bits import bits
from faults.places import Place, places
from faults.settings import data, settings
from runner.compose.command_line import compose
from runner.storage.differences import differences

pytestmark = pytest.mark.slow


def _outcomes(tallies):
    return [(tally.trials > 0, tally.trials - tally.survived, tally.failures) for tally in tallies]


@pytest.mark.parametrize("program", [settings, data])
def test_a_run_of_other_settings_or_data_is_not_gone_on_with(program):
    assert all(outcome == (True, 0, []) for outcome in _outcomes(program(3)))


@pytest.mark.parametrize("program", [settings, data])
def test_without_the_fingerprint_it_is(program):
    frozen, *_ = program(9, disabled="fingerprint")
    assert frozen.silent == frozen.trials > 0


@pytest.mark.parametrize("scenario", ["supervised", "ppo"])
def test_chunks_saves_logs_and_evaluations_change_no_bit(scenario):
    assert _outcomes(bits(scenario, every=27, seed=9)) == [(True, 0, [])]


def test_steps_that_count_from_the_start_of_a_chunk_are_detected():
    (tally,) = bits(every=27, disabled="step")
    assert tally.silent > 0


def test_other_devices_processors_and_versions_are_reported_and_silence_is_detected():
    known = [Place(1), Place(2, "1")]
    with ThreadPoolExecutor() as executor:
        disabled = executor.submit(list, places(known[:1], disabled="fingerprint"))
        (tally,) = places(known)
    assert (tally.survived, tally.trials) == (6, 6), tally.failures
    assert [(tally.silent, tally.trials) for tally in disabled.result()] == [(1, 3)]  # that of the version


def test_the_horizon_of_what_is_no_optimizer_shapes_the_run():
    config = compose(["scenario=ppo", "schedule=constant"])
    config["scenario"]["environment"]["horizon"] = 5
    other = copy.deepcopy(config)
    other["scenario"]["environment"]["horizon"] = 6
    other["optimizer"]["horizon"] = 7.0
    assert [key for key, _ in differences(config, other)] == ["scenario.environment.horizon"]
