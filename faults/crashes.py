"""Kills of the whole command at random moments; the same command again ends with the same bits."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from faults.bits import digest
from faults.tally import Tally
from runner import open_run
from runner.errors import Unreadable

LAST = 2000
EVERY = [f"steps={LAST}", "loop.save_every=100", "loop.evaluate_every=500", "loop.log_every=7"]
COMMANDS = {
    "gan": ["scenario=gan", "net.hidden_sizes=[8]", "dataset.batch_size=8", "evaluation.size=64", *EVERY],
    "supervised": ["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8", *EVERY],
}


def crashes(kills: int = 100, seed: int = 0, scenario: str = "gan") -> Iterator[Tally]:
    """Kills the command of a scenario `kills` times, and compares each finished run with an uninterrupted one."""
    tally, chance = Tally(f"{scenario}: killed at random, the same command again"), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, tried = Path(folder) / "whole", Path(folder) / "tried"
        begun = time.monotonic()
        if _begin(scenario, whole).wait():
            raise RuntimeError(f"{scenario} does not run even if nobody kills it")
        seconds = time.monotonic() - begun
        while tally.trials < kills:
            kept = _lives(scenario, tried, chance, seconds, kills - tally.trials)
            outcome = _compare(whole, tried) if all(kept) else "lost"
            for _ in kept:
                tally.count(outcome, f"{len(kept)} kills of one run, {seed=}")
            shutil.rmtree(tried)
    yield tally


def _lives(scenario: str, directory: Path, chance: random.Random, seconds: float, most: int) -> list[bool]:
    """Runs a command to its end, with kills; returns for each kill whether the step reported as saved was there."""
    kept: list[bool] = []
    while len(kept) < most:
        process = _begin(scenario, directory)
        try:
            process.wait(chance.uniform(0.05, 1.1) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kept.append(_kept(directory))
            continue
        if kept:
            return kept
        shutil.rmtree(directory)  # it ended before the kill, so this is not a trial
    _begin(scenario, directory).wait()
    return kept


def _kept(directory: Path) -> bool:
    if not (directory / "config.yaml").is_file():
        return True  # the run had not begun
    run = open_run(directory)
    try:
        return (run.checkpoints.newest() or 0) >= (run.info.saved or 0)
    except Unreadable:
        return False


def _begin(scenario: str, directory: Path) -> subprocess.Popen:
    words = [*COMMANDS[scenario], f"hydra.run.dir={directory}"]
    code = f"from runner.cli import main; main({words!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _compare(whole: Path, tried: Path) -> str:
    try:
        one, two = open_run(whole), open_run(tried)
        if two.info.status != "finished" or two.checkpoints.newest() != LAST:
            return "lost"
        same = digest(one.state(LAST)) == digest(two.state(LAST))
    except ValueError:
        return "lost"
    records = [(run.path / "metrics.jsonl").read_bytes() for run in (one, two)]
    return "survived" if same and records[0] == records[1] else "silent"
