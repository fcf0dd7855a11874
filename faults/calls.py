"""Every call that changes a file, in turn: killed there, or told of a full disk or a broken one."""

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from faults import subject
from faults.struck import BEFORE, DURING, HAS_SHIM, found, server
from faults.tally import Tally


def killed(every: int = 1, seed: int = 0, weak: str = "", last: int | None = None) -> Iterator[Tally]:
    """Kills the saving process at every so many-th call; where calls cannot be counted, at random times.

    Args:
        every: calls from one trial to the next.
        seed: moves the first, or draws the times.
        weak: the protection to do without, see `faults.child.strike`.
        last: how many calls before the end are tried; None is all.
    """
    tally = Tally("killed at a call that changes a file" if HAS_SHIM else "killed at a random time")
    with server() as (children, folder):
        whole = children.strike(_fresh(folder), weak=weak)
        chance, times = random.Random(seed), (last or 300) // every
        first = max(0, whole["calls"] - (last or whole["calls"])) + 1 + seed % every
        calls = [{"call": call} for call in range(first, whole["calls"] + 1, every)]
        for how in calls or [{"after": chance.uniform(0, whole["seconds"])} for _ in range(times)]:
            place = _fresh(folder)
            struck = children.strike(place, **how, weak=weak)
            tally.count(found(place, struck["told"]), f"{how} of {whole}, {seed=}: {struck}")
    yield tally


def failed(every: int = 1, seed: int = 0, name: str = "EIO") -> Iterator[Tally]:
    """Lets calls fail, one alone or all that follow: nothing is lost, and what is not saved is told."""
    number = getattr(errno, name)
    with server() as (children, folder):
        calls = children.strike(_fresh(folder))["calls"]
        for sticky in (False, True):
            tally = Tally(f"{name} at {'all calls from one on' if sticky else 'one call'}")
            for call in range(1 + seed % every, calls + 1, every):
                place = _fresh(folder)
                struck = children.strike(place, call=call, fault=number, sticky=sticky)
                outcome = found(place, struck["told"])
                kept = struck["status"] == 0 and struck["told"] == list(DURING)
                if outcome == "survived" and not kept and struck["status"] != 4:
                    outcome = "silent"
                tally.count(outcome, f"call {call} of {calls}: {struck}")
            yield tally


def _fresh(folder: Path) -> Path:
    """Gives a folder that holds the steps of `BEFORE` alone."""
    before, place = folder / "before", folder / "run" / "checkpoints"
    if not before.exists():
        subject.save(before, *BEFORE)
    shutil.rmtree(place.parent, ignore_errors=True)
    shutil.copytree(before, place)
    return place
