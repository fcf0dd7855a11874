"""A small part of the trials of saves, refusals and scripts, and what they find without a protection."""

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

import faults.programs
from faults.folders import folders
from faults.refusals import refusals
from faults.scripts import scripts
from runner.storage import arrays
from runner.storage.checkpoints import Checkpoints

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("program", "trials"), [(folders, 3), (refusals, 2), (scripts, 2)])
def test_nothing_is_lost_or_silent(program, trials):
    # Orbax's own threads complain of a failed read some time later: let them do it elsewhere.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        tallies = apart.submit(faults.programs.run, functools.partial(program, trials, seed=3)).result()
    for tally in tallies:
        assert (tally.survived >= trials, tally.failures) == (True, [])


def test_without_reading_back_some_saves_would_be_lost_in_silence(monkeypatch):
    monkeypatch.setattr(arrays, "read_back", lambda *_: None)
    _, missaved = folders(4)
    assert missaved.silent == 4


def test_without_the_check_of_the_checkpoint_a_refusal_would_change_files(monkeypatch):
    monkeypatch.setattr(Checkpoints, "refuse_misfit", lambda *_: None)
    (tally,) = refusals(2)
    assert tally.lost
