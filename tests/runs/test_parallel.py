import threading

import pytest

from runner.errors import Stopped
from runner.runs import parallel
from runner.runs.parallel import Prepared, run_members


class Training:
    """A run that others must meet, or must not."""

    running, most = 0, 0
    guard = threading.Lock()

    def __init__(self, memory, meet=None):
        self.memory, self.meet = memory, meet

    def run(self, directory, progress, stop):
        with Training.guard:
            Training.running += 1
            Training.most = max(Training.most, Training.running)
        if self.meet is not None:
            self.meet.wait(10)
        with Training.guard:
            Training.running -= 1
        return 1.0


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(Training, "most", 0)
    monkeypatch.setattr(parallel, "available_memory", lambda: 100.0)


def test_members_that_do_not_fit_memory_together_run_one_after_the_other(tmp_path):
    trainings = [Training(60) for _ in range(6)]
    outcomes = run_members(
        [*"abcdef"], lambda place: Prepared(trainings[place], tmp_path), stop=never, threads=4
    )
    assert [outcome.value for outcome in outcomes] == [1.0] * 6
    assert Training.most == 1


def test_one_that_alone_is_too_large_runs_alone(tmp_path):
    trainings = [Training(1), Training(10**9), Training(1)]
    run_members([*"abc"], lambda place: Prepared(trainings[place], tmp_path), stop=never, threads=3)
    assert Training.most <= 2


def test_as_many_as_there_are_threads_run_at_once(tmp_path):
    meet = threading.Barrier(3)
    run_members([*"abc"], lambda place: Prepared(Training(1, meet), tmp_path), stop=never, threads=3)
    assert Training.most == 3


def test_where_a_stop_is_requested_no_member_begins():
    begun = []
    with pytest.raises(Stopped, match="3 of 3 runs were not started"):
        run_members([*"abc"], begun.append, stop=lambda: True)
    assert begun == []
