"""What the tests of optional libraries share."""

import logging

import pytest

from runner.compose.command_line import compose
from runner.testing.configuration import (
    Configuration,
    a_run_that_is_killed_and_resumed_equals_the_whole_bit_for_bit,
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(logging.getLogger("runner"), "propagate", True)


@pytest.fixture
def resumed():
    """Gives what kills the run of a command by SIGKILL, resumes it, and compares it with one that was not killed."""

    def run(*command, net=("net.hidden_sizes=[4]",)):
        case = Configuration(compose([*command, *net, "figures=false"]))
        a_run_that_is_killed_and_resumed_equals_the_whole_bit_for_bit(case)
        return case

    return run
