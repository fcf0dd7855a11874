"""Runs resumed on other devices, processors or versions: this is reported, and on equal ones bits are equal."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from faults.bits import digest
from faults.tally import Tally
from runner import open_run
from runner.storage.run_directory import Directory

LANES = 4  # processes that run in parallel
WORDS = ["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8", "figures=false"]
ALL = "loop.devices=all"
CODE = """
import json, os, sys
cores, disabled, commands = json.loads(sys.argv[1])
if cores:
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:cores])
from runner.cli import main
from runner.storage.run_directory import Directory
if disabled == "fingerprint":
    Directory.refuse_other_data = lambda *_: []
for words in commands:
    main(words)
"""


class Place(NamedTuple):
    """The devices of a process, and its processors: by the variable NPROC, or cores by the system."""

    devices: int
    variable: str = "4"
    cores: int = 0

    @property
    def processors(self) -> int:
        """The number that XLA uses."""
        return int(self.variable or self.cores)


PLACES = (Place(1), Place(2), Place(4), Place(1, "1"))
PLACES += (Place(1, "", 1),) if hasattr(os, "sched_setaffinity") else ()


def places(known: Sequence[Place] = PLACES, disabled: str = "") -> Iterator[Tally]:
    """Begins a run at each place, resumes it at each, and compares it with the uninterrupted run where it began.

    Args:
        known: the places.
        disabled: the protection to disable: "fingerprint", or "" for none.
    """
    tally, numbers = Tally("going on with other devices, processors or versions"), range(len(known))
    pairs = list(itertools.product(numbers, repeat=2))
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(LANES) as lanes:
        folder = Path(name)
        too_many = lanes.submit(_too_many, folder, known[0])
        list(lanes.map(lambda number: _begin(folder, number, known[number]), numbers))
        for begun, now in pairs:
            shutil.copytree(folder / f"begun-{begun}", folder / f"{begun}-{now}")
        older, version = _other_version(folder)
        runs = [[folder / f"{begun}-{now}" for begun in numbers] for now in numbers]
        runs[0].append(older)
        list(lanes.map(lambda now: _go_on(known[now], runs[now], disabled), numbers))
        for begun, now in pairs:
            changes = _changes(known[begun], known[now])
            outcome = _outcome(folder / f"{begun}-{now}", folder / f"whole-{begun}", changes)
            tally.count(outcome, f"{known[begun]} -> {known[now]}: {changes}")
        tally.count(_outcome(older, folder / "whole-0", version), str(version))
        tally.count(*too_many.result())
    yield tally


def _begin(folder: Path, number: int, place: Place) -> None:
    """Trains an uninterrupted run, and one that ends earlier."""
    runs = [(8, f"whole-{number}"), (4, f"begun-{number}")]
    _command(
        place, [[*WORDS, ALL, f"steps={steps}", f"hydra.run.dir={folder / name}"] for steps, name in runs]
    )


def _other_version(folder: Path) -> tuple[Path, list[str]]:
    """Copies the first run as one that another jaxlib began; returns it and the expected warnings."""
    older = Directory(shutil.copytree(folder / "begun-0", folder / "versions"))
    versions = older.info.versions
    older.update_info(versions=versions | {"jaxlib": "0.0.0"})
    return older.path, [f"versions.jaxlib: 0.0.0 there, {versions['jaxlib']} now: bits will differ"]


def _too_many(folder: Path, place: Place) -> tuple[str, str]:
    asked = _command(place, [[*WORDS, "loop.devices=64", f"hydra.run.dir={folder / 'none'}"]])
    one_line = asked.stderr.startswith("error: ") and asked.stderr.count("\n") == 1
    refused = one_line and asked.returncode == 2 and not (folder / "none").exists()
    return "survived" if refused else "silent", f"64 devices are asked for: {asked.stderr}"


def _go_on(place: Place, runs: Sequence[Path], disabled: str) -> None:
    _command(place, [["resume", str(run), "steps=8"] for run in runs], disabled)


def _command(place: Place, commands: list[list[str]], disabled: str = "") -> subprocess.CompletedProcess:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={place.devices}"
    own = {"XLA_FLAGS": flags, "NPROC": place.variable, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", CODE, json.dumps([place.cores, disabled, commands])]
    here = Path(__file__).parents[1]
    return subprocess.run(words, env=os.environ | own, cwd=here, capture_output=True, text=True, check=False)


def _changes(begun: Place, now: Place) -> list[str]:
    devices = [f"cpu (cpu), devices: {place.devices}" for place in (begun, now)]
    processors = [place.processors for place in (begun, now)]
    pairs = (("device", *devices), ("processors", *processors))
    return [f"{key}: {old} there, {new} now: bits will differ" for key, old, new in pairs if old != new]


def _outcome(resumed: Path, whole: Path, changes: list[str]) -> str:
    """Returns the outcome of a resumed run, from its run info, its log and its bits."""
    one, two = open_run(whole), open_run(resumed)
    if two.info.status != "finished" or two.checkpoints.newest() != 8:
        return "lost"
    log = (resumed / "runner.log").read_text()
    warnings = [line.partition("WARNING runner: ")[2] for line in log.splitlines() if "WARNING" in line]
    recorded = two.info.changes == [f"from step 4: {change}" for change in changes]
    same = bool(changes) or digest(one.state(8)) == digest(two.state(8))
    return "survived" if warnings == changes and recorded and same else "silent"
