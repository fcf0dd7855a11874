"""Checks of a whole configuration: the laws of its scenario, a run that is killed, and what the run will cost."""

import functools
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax

from runner.compose.tree import Node
from runner.core import PyTree
from runner.errors import ConfigError
from runner.process.memory import total_memory
from runner.runs.training import Training
from runner.storage.checkpoints import Checkpoints
from runner.testing.comparison import require_equal
from runner.testing.laws import LAWS
from runner.testing.recorded import Rows
from runner.testing.results import Result, Skip, expect, result_of, results_of
from runner.testing.subject import Subject

SAVED, ENDED = 10, 20  # the steps at which the run that is killed is saved, and ends
SECONDS = 2.0  # for which steps are timed


class Configuration:
    """A checked configuration, whose run is examined in a temporary directory.

    Args:
        config: resolved and checked, as `runner.compose.command_line.compose` returns it.

    Raises:
        ValueError: a part rejects a setting or the data, or there are several runs.
    """

    def __init__(self, config: Mapping[str, Node]):
        if config["seeds"] is not None:
            raise ConfigError("seeds: one run is checked; leave it out")
        self.config: PyTree = config
        self.training = Training(config)
        scenario, dataset, loop, evaluator = self.training.parts
        self.loop, self.dataset = loop, dataset
        self.subject = Subject(scenario, dataset, evaluator, loop.fuse)
        self.seconds: dict[str, float] = {}  # of a step, an evaluation and a save, once they are measured

    @functools.cached_property
    def state(self) -> PyTree:
        """The state after some steps of the real run, on the device."""
        program = self.training.prepared.program
        state = program.init()
        fused = program.compile(state, 0, self.loop.fuse)
        begin, steps, timed = None, 0, 0
        stop = lambda: begin is not None and time.perf_counter() - begin > SECONDS
        for newest, start, length, _ in program.advance(state, 0, self.loop.steps, fused, stop=stop):
            state, steps = newest, start + length
            if begin is None:  # the first chunk loads the program
                begin, timed = time.perf_counter(), steps
        elapsed = time.perf_counter() - (begin or 0.0)
        self.seconds["step"] = elapsed / max(steps - timed, 1)
        return jax.block_until_ready(state)

    def results(self) -> Iterator[Result]:
        """Yields the result of each check: the laws, then those of the whole run."""
        fits = None
        for result in results_of(LAWS, self.subject):
            fits = fits or result
            yield result
        if fits is not None and fits.outcome != "failed":
            for check in CHECKS:
                yield result_of(check, self)


def a_run_that_is_killed_and_resumed_equals_the_whole_bit_for_bit(case: Configuration) -> str:
    """Kills the run in a process of its own by SIGKILL, resumes it, and compares it with one that was not killed."""
    if not getattr(case.dataset.train, "exact", True):
        raise Skip(
            "the stream of data can only start at its first batch, so no run on it can be resumed exactly"
        )
    loop = {"steps": ENDED, "save_every": SAVED, "log_every": 5, "evaluate_every": None}
    loop = {**case.config["loop"], **loop, "best": None, "patience": None}
    config = {**case.config, "steps": ENDED, "figures": False, "loop": loop}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        Training(config).run(whole, lambda *_: Rows())
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        words = [sys.executable, "-m", "runner.testing.killed", file, killed, str(SAVED)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        child = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8")
        with Checkpoints(killed / "checkpoints") as checkpoints:
            reached = checkpoints.newest()
        fault = f"the run that is killed ended with {child.returncode}: {child.stderr.strip()[-300:]}"
        expect((child.returncode, reached) == (-9, SAVED), fault)
        Training(config).run(killed, lambda *_: Rows())
        template = case.training.prepared.template
        states = []
        for path in (whole, killed):
            with Checkpoints(path / "checkpoints") as checkpoints:
                states.append(checkpoints.restore(template, ENDED))
        require_equal(*states)
        records = [(path / "metrics.jsonl").read_bytes() for path in (whole, killed)]
        expect(records[0] == records[1], "metrics.jsonl of the resumed run differs")
    return f"killed after step {SAVED} of {ENDED}"


def a_step_takes(case: Configuration) -> str:
    """Measures the steps of the real run, once they are compiled."""
    _ = case.state
    return _duration(case.seconds["step"])


def an_evaluation_takes(case: Configuration) -> str:
    """Measures the second evaluation of the validation split."""
    prepared = case.training.prepared
    if prepared.evaluator is None or prepared.validation is None:
        raise Skip("the configuration has no evaluation")
    for _ in range(2):
        begin = time.perf_counter()
        prepared.evaluator(
            prepared.program.keys.evaluate_at(1), prepared.scenario, case.state, prepared.validation
        )
        case.seconds["evaluation"] = time.perf_counter() - begin
    return _duration(case.seconds["evaluation"])


def a_save_takes(case: Configuration) -> str:
    """Measures one checkpoint, in the temporary folder of the system; training goes on meanwhile."""
    with tempfile.TemporaryDirectory() as folder, Checkpoints(Path(folder) / "checkpoints") as checkpoints:
        for step in (1, 2):
            begin = time.perf_counter()
            checkpoints.save(step, case.state, {})
            checkpoints.wait()
            case.seconds["save"] = time.perf_counter() - begin
    return _duration(case.seconds["save"])


def the_run_needs_memory(case: Configuration) -> str:
    """Reports the bytes of state and data, and the largest memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return (
        f"at least {case.training.memory / 1e6:.3g} MB for state and data; "
        f"this process took {peak / 1e9:.2g} of {total_memory() / 1e9:.3g} GB"
    )


def the_whole_run_takes_about(case: Configuration) -> str:
    """Estimates the duration of the run from its steps, evaluations and saves."""
    loop, seconds = case.loop, case.seconds
    if seconds.keys() < {"step", "save"}:
        raise Skip("steps or saves could not be measured")
    count = lambda every: max(loop.steps // every, 1) if every else 1
    times = {"step": loop.steps, "evaluation": count(loop.evaluate_every), "save": count(loop.save_every)}
    total = sum(number * seconds.get(kind, 0.0) for kind, number in times.items() if kind != "save")
    counts = ", ".join(f"{number} {kind}{'s' if number != 1 else ''}" for kind, number in times.items())
    return f"{_duration(total)}, after its programs are compiled: {counts}"


CHECKS = (
    a_run_that_is_killed_and_resumed_equals_the_whole_bit_for_bit,
    a_step_takes,
    an_evaluation_takes,
    a_save_takes,
    the_run_needs_memory,
    the_whole_run_takes_about,
)


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} minutes"


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the messages of runs that only serve a check."""
    log = logging.getLogger("runner")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
