"""Processes that train many runs: nothing of a run stays open when it has ended, in whatever way."""

import logging
import threading
from pathlib import Path

import pytest
from small_runs import COMMANDS

from runner import train
from runner.errors import Busy, NotFinite, Occupied
from runner.storage.lock import Lock

RUN = [*COMMANDS["supervised"], "figures=false"]


def held():
    """Returns the open files, threads and log handlers of this process."""
    files = sorted(str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    handlers = [handler for name in (None, "runner") for handler in logging.getLogger(name).handlers]
    return files, sorted(thread.name for thread in threading.enumerate()), len(handlers)


def train_run(number):
    train([*RUN, f"seed={number}"], f"runs/{number}")


def end_with_each_error(number):
    with pytest.raises(Occupied):
        train([*RUN, "seed=1000"], "runs/0")
    with pytest.raises(NotFinite):
        train([*RUN, "optimizer.learning_rate=1e38"], f"lost/{number}")
    with Lock(f"busy/{number}"), pytest.raises(Busy):
        train(RUN, f"busy/{number}")


@pytest.mark.slow
def test_30_runs_leave_no_file_thread_or_handler_behind():
    train_run(0)
    end_with_each_error(0)
    before = held()
    for number in range(1, 31):
        train_run(number)
    for number in range(1, 4):
        end_with_each_error(number)
    assert held() == before
