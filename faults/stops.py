"""Signals in every phase of a command: it saves and stops, and the same command then ends with the same bits."""

import contextlib
import io
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, NamedTuple

from faults.tally import Tally

LANES = 4  # commands that run in parallel
PATIENCE = 120.0  # seconds after which a command hangs, and an error is raised
WORDS = [
    *["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8", "figures=false", "steps=400"],
    *["loop.log_every=7", "loop.save_every=50", "loop.evaluate_every=100"],
]
# How often each phase begins for certain before the end of the run: the latest turn at which a signal is sent.
PHASES = {"importing": 1, "compiling": 1, "training": 9, "saving": 6, "evaluating": 3}
KINDS = ("SIGTERM", "SIGINT", "SIGINT, which the parent ignored")
SCHEDULERS = ("SIGHUP", "SIGUSR1", "SIGUSR2")  # and closed terminals
IGNORING = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]


_printing = threading.Lock()  # of this process, whose trials share its output


class Trial(NamedTuple):
    """Which signal is sent, how often, and when: at the `turn`-th time that the phase begins.

    A second signal follows the first at once, as when it is forwarded twice. A third one exits at once: it is sent when
    it is no longer taken for the same request.
    """

    phase: str
    kind: str
    count: int
    turn: int

    @property
    def number(self) -> int:
        """The number of the signal."""
        return signal.Signals[self.kind.partition(",")[0]]

    @property
    def saves(self) -> bool:
        """Whether the command has time to save."""
        return self.count < 3


class Wrong(Exception):
    """The outcome of a failed trial, "lost" or "silent", and the reason."""


def stops(every: int = 1, seed: int = 0, kinds: tuple[str, ...] = KINDS) -> Iterator[Tally]:
    """Sends each kind of signal one, two and three times in each phase; one in `every` of these trials is run."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(LANES) as lanes:
        whole = Path(folder) / "whole"
        code, complaint = run(whole)
        if code:
            raise RuntimeError(f"the command does not run even if nobody stops it: {complaint}")
        tried = {}
        for place, (phase, last) in enumerate(PHASES.items()):
            rotated = kinds[place % 3 :] + kinds[: place % 3]
            shots = list(itertools.product((1, 2, 3), rotated))[::every]
            trials = [Trial(phase, kind, count, chance.randint(1, last)) for count, kind in shots]
            tried[phase] = [
                (trial, lanes.submit(_try, trial, whole, Path(folder) / f"{phase}-{number}"))
                for number, trial in enumerate(trials)
            ]
        for phase, results in tried.items():
            tally, waits = Tally(""), []
            for trial, result in results:
                outcome, why, seconds = result.result()
                tally.count(outcome, f"{tuple(trial)}: {why}, {seed=}")
                waits += [seconds] if trial.saves else []
            times = f"{statistics.median(waits):.1f} s to stop, {max(waits):.1f} s at most"
            names = "" if kinds == KINDS else f"by {', '.join(kinds)} "
            tally.fault = f"stopped {names}while {phase} ({times})"
            yield tally


def _try(trial: Trial, whole: Path, tried: Path) -> tuple[str, str, float]:
    """Returns the outcome, the reason, and the seconds from the first signal to the end."""
    code, complaint = run(tried, trial)
    ended, seconds = time.monotonic(), 0.0
    try:
        expect(_mark_of(tried).is_file(), "silent", f"it ends before its signals, with {code}: {complaint}")
        seconds = ended - float(_mark_of(tried).read_text())
        _judge_end(trial, code, complaint)
        _judge_directory(trial, tried, complaint)
        code, complaint = run(tried)
        expect(code == 0, "lost", f"it does not go on: {complaint}")
        judge_bits(whole, tried)
    except Wrong as wrong:
        return *wrong.args, seconds
    return "survived", "", seconds


def run(directory: Path, trial: Trial | None = None) -> tuple[int, str]:
    """Runs the command, with the signals of a trial, and returns its exit code and its standard error."""
    mark = json.dumps([trial and tuple(trial), str(_mark_of(directory))])
    words = [sys.executable, "-m", "faults.stops", mark, *WORDS, f"hydra.run.dir={directory}"]
    ended = subprocess.run(
        [*(IGNORING if trial and trial.kind == KINDS[2] else []), *words],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return ended.returncode, ended.stderr


def _mark_of(directory: Path) -> Path:
    return directory.with_suffix(".signalled")


def expect(fact: bool, outcome: str, why: str) -> None:
    """Raises Wrong unless a fact holds."""
    if not fact:
        raise Wrong(outcome, why)


def _judge_end(trial: Trial, code: int, complaint: str) -> None:
    codes = [128 + trial.number] + ([-trial.number] if trial.count > 1 else [])  # a second one may come last
    expect(code in codes, "silent", f"it exits with {code}: {complaint}")
    lines = complaint.splitlines()
    expect(len(lines) <= 1, "silent", f"it complains: {complaint}")
    expect(all(line.startswith("error: stopped at step ") for line in lines), "silent", complaint)
    expect(len(lines) == 1 or not trial.saves, "silent", "it does not say where it stopped")


def _judge_directory(trial: Trial, directory: Path, complaint: str) -> None:
    from runner import open_run
    from runner.commands import listings
    from runner.errors import Unreadable
    from runner.storage import seals

    if not trial.saves and not (directory / "config.yaml").is_file():
        return  # the run had not begun
    opened = open_run(directory)
    saved = opened.info.saved
    try:
        newest = opened.checkpoints.newest()
        for step in opened.checkpoints.steps:
            seals.verify(directory / "checkpoints" / str(step))
    except (Unreadable, seals.Broken) as error:
        raise Wrong("lost", str(error)) from error
    expect((newest or 0) >= (saved or 0), "lost", f"step {saved} was reported as saved; there is {newest}")
    with _printing, contextlib.redirect_stdout(io.StringIO()) as shown:
        listings.status(str(directory))
    rows = dict(line.split(": ", 1) for line in shown.getvalue().splitlines())
    shown = rows.get("last saved step"), rows["resume by"]
    expect(shown == (saved and str(saved), f"runner resume {directory}"), "silent", f"its status is {rows}")
    stopped = ["stopped"] if trial.saves else ["stopped", "killed"]
    expect(rows["status"] in stopped, "silent", f"its status is {rows['status']}")
    if trial.saves:
        begun = trial.phase not in ("importing", "compiling")
        expect(bool(saved) == begun, "lost", f"step {saved} was saved")
        expect(complaint.split()[4] == f"{saved or 0};", "lost", f"{saved} is saved; {complaint}")


def judge_bits(whole: Path, tried: Path) -> None:
    """Raises Wrong unless a run has finished with the state and the records of another one."""
    from faults.bits import digest
    from runner import open_run

    one, two = open_run(whole), open_run(tried)
    expect(two.info.status == "finished", "lost", f"its status is {two.info.status}")
    expect(digest(one.state()) == digest(two.state()), "silent", "its bits are others")
    records = [(run.path / "metrics.jsonl").read_bytes() for run in (one, two)]
    expect(records[0] == records[1], "silent", "its records are others")


def _send(trial: Trial, mark: Path) -> None:
    """Sends the signals to this process, the second as soon as the first has been received."""
    from runner.process import signals

    mark.write_text(str(time.monotonic()))
    for count in range(trial.count):
        if count == 2:
            time.sleep(signals.APART)
        os.kill(os.getpid(), trial.number)
        while not signals.asked():
            time.sleep(0.001)


def _arm(trial: Trial, mark: Path) -> None:
    """Installs hooks that send the signals when the phase of the trial begins for the `turn`-th time."""
    turns = itertools.count(1)

    def hook() -> None:
        if next(turns) == trial.turn:
            _send(trial, mark)

    if trial.phase == "importing":
        sys.meta_path.insert(0, _Finder(hook))
        return
    from runner import evaluators
    from runner.loop import compiled, log_averages
    from runner.storage import seals

    begins: dict[str, tuple[Any, str]] = {
        "compiling": (compiled.Program, "compile"),
        "training": (log_averages.Record, "add"),
        "saving": (seals, "seal"),
        "evaluating": (evaluators.Means, "__call__"),
    }
    owner, name = begins[trial.phase]
    original = getattr(owner, name)

    def hooked(*arguments: Any) -> Any:
        hook()
        return original(*arguments)

    setattr(owner, name, hooked)


class _Finder(MetaPathFinder):
    """A finder of modules that finds none, and calls a function when JAX is imported."""

    def __init__(self, looked_for: Callable[[], None]):
        self._looked_for = looked_for

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "jax":
            self._looked_for()


def _main(asked: str, *words: str) -> None:
    from runner.process.compile_cache import keep_compiled_programs

    keep_compiled_programs()  # before the hooks are installed, which imports JAX
    trial, mark = json.loads(asked)
    if trial is not None:
        _arm(Trial(*trial), Path(mark))
    from runner.cli import command

    sys.argv = ["runner", *words]
    command()


if __name__ == "__main__":
    _main(*sys.argv[1:])
