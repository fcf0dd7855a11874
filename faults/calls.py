"""Faults at each system call that changes a file: a kill, or an error such as that of a full disk."""

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from faults import subject
from faults.injected import BEFORE, DURING, HAS_SHIM, outcome_of, server
from faults.tally import Tally


def killed(every: int = 1, seed: int = 0, disabled: str = "", last: int | None = None) -> Iterator[Tally]:
    """Kills the saving process at one in `every` calls, or at random times if calls cannot be counted.

    Args:
        every: number of calls from one trial to the next.
        seed: shifts the first trial, or determines the random times.
        disabled: the protection to disable, as in `faults.child.inject`.
        last: number of calls before the end that are tested; None means all.
    """
    tally = Tally("killed at a call that changes a file" if HAS_SHIM else "killed at a random time")
    with server() as (children, folder):
        whole = children.inject(_fresh(folder), disabled=disabled)
        chance, times = random.Random(seed), (last or 300) // every
        first = max(0, whole["calls"] - (last or whole["calls"])) + 1 + seed % every
        calls = [{"call": call} for call in range(first, whole["calls"] + 1, every)]
        for how in calls or [{"after": chance.uniform(0, whole["seconds"])} for _ in range(times)]:
            place = _fresh(folder)
            report = children.inject(place, **how, disabled=disabled)
            tally.count(outcome_of(place, report["saved"]), f"{how} of {whole}, {seed=}: {report}")
    yield tally


def failed(every: int = 1, seed: int = 0, name: str = "EIO") -> Iterator[Tally]:
    """Makes one call fail, or all calls from one on: nothing is lost, and what is not saved is reported."""
    number = getattr(errno, name)
    with server() as (children, folder):
        calls = children.inject(_fresh(folder))["calls"]
        for sticky in (False, True):
            tally = Tally(f"{name} at {'all calls from one on' if sticky else 'one call'}")
            for call in range(1 + seed % every, calls + 1, every):
                place = _fresh(folder)
                report = children.inject(place, call=call, fault=number, sticky=sticky)
                outcome = outcome_of(place, report["saved"])
                kept = report["status"] == 0 and report["saved"] == list(DURING)
                if outcome == "survived" and not kept and report["status"] != 4:
                    outcome = "silent"
                tally.count(outcome, f"call {call} of {calls}: {report}")
            yield tally


def _fresh(folder: Path) -> Path:
    """Returns a folder with only the steps of `BEFORE`."""
    before, place = folder / "before", folder / "run" / "checkpoints"
    if not before.exists():
        subject.save(before, *BEFORE)
    shutil.rmtree(place.parent, ignore_errors=True)
    shutil.copytree(before, place)
    return place
