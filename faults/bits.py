"""Checks that interruptions, saves, logs and evaluations change no bit of a run."""

import contextlib
import hashlib
import itertools
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from faults.tally import Tally
from runner.compose.command_line import change, compose
from runner.errors import Stopped
from runner.loop.compiled import Program
from runner.runs.training import Training
from runner.storage.checkpoints import Checkpoints
from runner.storage.differences import FREE

LAST = 24
COMMANDS = {
    "supervised": ["dataset=iris", "net.dropout=0.2", "schedule=cosine"],
    "gan": ["scenario=gan", "scenario.critic_steps=2", "evaluation.size=32"],
    "ppo": ["scenario=ppo", "scenario.environments=4", "scenario.rollout=16", "scenario.episodes=2"],
}
SMALL = ["net.hidden_sizes=[8]", f"steps={LAST}"]
LOG, EVALUATE, SAVE = (1, 7, 100), ("null", 5, 9), ("null", 4, 10)
INTERVALS = [
    [f"loop.log_every={log}", f"loop.evaluate_every={evaluate}", f"loop.save_every={save}"]
    for log, evaluate, save in itertools.product(LOG, EVALUATE, SAVE)
]


def bits(scenario: str = "supervised", every: int = 1, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Trains a run with some choices of intervals: without interruption, resumed several times, and in other chunks.

    Args:
        scenario: its name.
        every: one in `every` choices of intervals is tested.
        seed: of the choices, the lengths of chunks and the interruptions.
        disabled: the protection to disable: "step", which determines keys and batches, or "" for none.
    """
    tally, chance = Tally(f"{scenario}: other chunks, saves, logs and evaluations"), random.Random(seed)
    plain = [*COMMANDS[scenario], *SMALL]
    if scenario != "ppo":
        plain.append("dataset.batch_size=8")
    with _without(disabled):
        wanted, _ = _trained(compose([*plain, "figures=false"]), _whole)
        for number, intervals in enumerate(chance.sample(INTERVALS, len(INTERVALS) // every)):
            words = [*intervals, f"figures={str(number % 9 == 1).lower()}"]
            config = compose([*plain, *words])
            state, record = _trained(config, _whole)
            tally.count("survived" if state == wanted else "silent", f"{words}: whole")
            for live in (_one_by_one, _drawn, _shorter):
                state, found = _trained(config, live, chance)
                same = state == wanted and (live is _shorter or found == record)
                tally.count("survived" if same else "silent", f"{words}: {live.__name__}, {seed=}")
    yield tally


def _trained(config: dict, live: Callable, *chance: random.Random) -> tuple[str, bytes]:
    """Returns the digest of the last state of a run, and the content of its metrics file."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        live(config, Path(name), *chance)
        template = Training(config).prepared.template
        found = Checkpoints(Path(name) / "checkpoints").restore(template, LAST)
        assert found is not None
        return digest(found[1]), (Path(name) / "metrics.jsonl").read_bytes()


def _whole(config: Mapping, place: Path, stop: Any = None) -> None:
    Training(config).run(place, lambda *_: Silence(), stop)


def _one_by_one(config: Mapping, place: Path, chance: random.Random) -> None:
    """Trains in chunks of one step, and stops after some of them."""
    with mock.patch.object(Program, "_pace", lambda program, _: setattr(program, "_length", 1)):
        _stopped(config, place, chance)


def _drawn(config: Mapping, place: Path, chance: random.Random) -> None:
    """Trains in chunks of random lengths, and stops after some of them."""
    with mock.patch.object(Program, "_pace", lambda own, _: setattr(own, "_length", chance.randint(1, 9))):
        _stopped(config, place, chance)


def _stopped(config: Mapping, place: Path, chance: random.Random) -> None:
    for _ in range(2):
        chunks = iter(range(chance.randint(1, 6)))
        with contextlib.suppress(Stopped):
            _whole(config, place, lambda chunks=chunks: next(chunks, None) is None)
    _whole(config, place)


def _shorter(config: Mapping, place: Path, chance: random.Random) -> None:
    """Trains for fewer steps first, then for more."""
    for steps in sorted(chance.sample(range(1, LAST), 2)):
        _whole(change(config, [f"steps={steps}"], sorted(FREE)), place)
    _whole(config, place)


def _without(disabled: str) -> contextlib.AbstractContextManager:
    """Disables a protection: with "step", steps are counted from the start of their chunk."""
    own = Program._arguments
    counted = lambda *of: tuple(0 if place == 6 else each for place, each in enumerate(own(*of)))
    if disabled == "step":
        return mock.patch.object(Program, "_arguments", counted)
    return contextlib.nullcontext()


def digest(state: Any) -> str:
    """Returns a digest of all bits of a state."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        values = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        found.update(f"{values.dtype}{values.shape}".encode() + values.tobytes())
    return found.hexdigest()


class Silence:
    """A writer that writes nothing."""

    def write(self, step: int, metrics: Any, figures: Any) -> None:
        """Ignores metrics and figures."""

    def close(self) -> None:
        """Does nothing."""
