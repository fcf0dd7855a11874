"""Saves that the library of checkpoints reports as done, and that wrote something else, or nothing."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from faults import subject
from faults.tally import Tally
from runner.errors import StorageError
from runner.storage import arrays

STEPS = (2, 4, 6)
CHARACTERS = [chr(number) for number in range(32, 127) if chr(number) != "/"]


def folders(trials: int = 100, seed: int = 0) -> Iterator[Tally]:
    """Saves in folders of random names, then lets saves write something else than the state, and restores."""
    tally, chance = Tally("saved in a folder of any name"), random.Random(seed)
    for trial in range(trials):
        name = f"[{''.join(chance.choices(CHARACTERS, k=8))}]"
        with tempfile.TemporaryDirectory() as folder:
            tally.count(_saved(Path(folder) / name / "checkpoints"), f"{name!r}, {trial=}, {seed=}")
    yield tally
    tally = Tally("a save that writes another state, or nothing")
    for trial in range(trials):
        with tempfile.TemporaryDirectory() as folder:
            tally.count(_missaved(Path(folder), chance), f"{trial=}, {seed=}")
    yield tally


def _saved(place: Path) -> str:
    try:
        subject.save(place, *STEPS)
        return "survived" if subject.load(place) == (STEPS[-1], []) else "lost"
    except subject.Silent:
        return "silent"
    except Exception:  # whatever Orbax raises if an array is not there
        return "lost"


def _missaved(place: Path, chance: random.Random) -> str:
    """Returns "survived" if the wrong save is an error, and the step before it is still there."""
    subject.save(place, *STEPS[:-1])
    write, other = arrays.write, chance.randrange(100, 1000)
    kind = chance.choice(("state", "extra", "nothing"))

    def wrong(folder: Path, state: dict, extra: dict) -> None:
        write(
            folder,
            subject.state(other) if kind == "state" else state,
            subject.extra(other) if kind == "extra" else extra,
        )
        if kind == "nothing":
            (folder / "state" / "manifest.ocdbt").unlink()

    try:
        with mock.patch.object(arrays, "write", wrong):
            subject.save(place, STEPS[-1])
    except StorageError:
        return "survived" if subject.load(place) == (STEPS[-2], []) else "lost"
    return "silent"
