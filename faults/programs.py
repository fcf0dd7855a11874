"""The programs by name: one for each fault, and one for each protection that is disabled."""

import functools
import logging
import os
from collections.abc import Callable, Iterator

from faults import (
    bits,
    calls,
    crashes,
    damage,
    folders,
    hostile,
    injected,
    numbers,
    places,
    power,
    readers,
    refusals,
    scripts,
    settings,
    starts,
    stops,
    surroundings,
    threads,
)
from faults.tally import Tally

Program = Callable[[], Iterator[Tally]]


def programs(quick: bool, seed: int) -> dict[str, Program]:
    """Returns programs by name, the longest first, without those that this machine cannot run."""
    few = lambda whole, short: short if quick else whole
    part = functools.partial
    known = {name: part(crashes.crashes, few(100, 1), seed, name) for name in crashes.COMMANDS}
    if injected.HAS_SHIM:
        known |= {name: part(calls.failed, few(1, 80), seed, name) for name in ("ENOSPC", "EIO", "EACCES")}
    known |= {
        "killed": part(calls.killed, few(1, 40), seed),
        "threads": part(threads.threads, few(100, 2), seed),
        "damage": part(damage.damage, few(20, 1), seed),
        "all_damaged": part(damage.all_damaged, few(200, 5), seed),
        "stops": part(stops.stops, few(1, 9), seed),
        "schedulers": part(stops.stops, few(1, 9), seed, stops.SCHEDULERS),
        **surroundings.programs(quick, seed),
        "hostile": hostile.hostile,
        **{f"bits_{name}": part(bits.bits, name, few(3, 27), seed) for name in bits.COMMANDS},
        "numbers": part(numbers.numbers, few(1, 12), seed),
        "starts": part(starts.starts, few(20, 3), seed),
        "readers": part(readers.readers, few(50, 12), seed),
        "places": part(places.places, places.PLACES[: few(5, 2)]),
        "folders": part(folders.folders, few(100, 3), seed),
        "refusals": part(refusals.refusals, few(50, 4), seed),
        "scripts": part(scripts.scripts, few(20, 2), seed),
        "settings": part(settings.settings, few(1, 9), seed),
        "data": part(settings.data, few(10, 1), seed),
    }
    if power.CAN_MOUNT:
        known["cuts"] = part(power.cuts, few(50, 3), seed)
        known["full"] = part(power.full, few(50, 3), seed)
    return known


def unprotected(seed: int) -> dict[str, Program]:
    """Returns, by the name of each protection, a program that disables it."""
    part = functools.partial
    known = {
        "sealing before a step is visible": part(calls.killed, 6, seed, disabled="seal", last=80),
        "check of the seal": part(damage.damage, 1, seed, disabled="seal"),
        "vetting of directories": part(hostile.hostile, disabled="trust"),
        "lock": part(starts.starts, 2, seed, disabled="lock"),
        "check of the state": part(numbers.numbers, 20, seed, disabled="finite"),
        "fingerprint of settings": part(settings.settings, 9, seed, disabled="fingerprint"),
        "digest of the data": part(settings.data, 1, seed, disabled="fingerprint"),
        "comparison of places": part(places.places, places.PLACES[:1], disabled="fingerprint"),
        "steps that keys are drawn by": part(bits.bits, "supervised", 27, seed, disabled="step"),
    }
    if power.CAN_MOUNT:
        known["syncing"] = part(power.cuts, 10, seed, disabled="sync")
    return known


def run(program: Program) -> list[Tally]:
    """Runs one program without any output."""
    logging.getLogger("runner").addHandler(logging.NullHandler())  # failures are expected here
    logging.getLogger("runner").propagate = False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where Orbax reports the errors
    return list(program())
