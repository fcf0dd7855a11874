"""A share of the faults around a run: its directory goes, its parent ignores SIGHUP, its directory is hostile."""

import functools

import pytest

from faults import hostile, surroundings

PROGRAMS = {
    "directories that go": functools.partial(surroundings.gone, 3),
    "an ignored SIGHUP": functools.partial(surroundings.ignored, 1),
    "hostile directories": hostile.hostile,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_lost_silent_or_executed(name):
    for tally in PROGRAMS[name]():
        assert (tally.lost, tally.silent, tally.executed) == (0, 0, 0), tally.failures


@pytest.mark.slow
def test_directories_that_are_trusted_do_execute(monkeypatch):
    chosen = {"a shell": hostile.CONFIGURATIONS["a shell"]}
    monkeypatch.setattr(hostile, "CONFIGURATIONS", chosen)
    monkeypatch.setattr(hostile, "GIT", {})
    monkeypatch.setattr(hostile, "TEXTS", {})
    (tally,) = hostile.hostile(disabled="trust")
    assert tally.executed == 1
