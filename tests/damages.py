"""What tests do to a run before a command, what they compare after it, and a small run to do it to."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from runner.cli import main

WORDS = [
    *["scenario=regression", "net.hidden_sizes=[4]", "dataset=npz", "dataset.path=rows.npz"],
    *["dataset.batch_size=4", "figures=false", "loop.save_every=5", "loop.log_every=5", "hydra.run.dir=run"],
]


def rows(path="rows.npz", seed=0):
    random = np.random.default_rng(seed)
    np.savez(path, x=random.normal(size=(40, 2)), y=random.normal(size=(40, 1)))


def files(folder="."):
    """Returns the bytes and the time of every file and folder but the locks."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in Path(folder).rglob("*")
        if path.name != ".lock"
    }


def fails(words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    return stopped.value.code


def newest(file):
    """Returns what damages a file of the newest checkpoint of each run."""

    def damage(run):
        for checkpoints in run.rglob("checkpoints"):
            step = max(checkpoints.iterdir(), key=lambda path: int(path.name))
            path = step / file
            path.write_bytes(path.read_bytes()[:-1])

    return damage


def every(file):
    """Returns what damages a file of all checkpoints of each run."""

    def damage(run):
        for path in run.glob(f"**/checkpoints/*/{file}"):
            path.write_bytes(path.read_bytes()[:-1])

    return damage


def broken(name):
    """Returns what adds half a record, and a whole one, to a file of each run."""

    def damage(run):
        for path in run.rglob(name):
            path.write_bytes(path.read_bytes() + b'{"step": \n{"step": 10}\n')

    return damage


def overwritten(name, text):
    """Returns what replaces the text of a file of each run."""

    def damage(run):
        for path in [*run.rglob(name)]:
            path.write_text(text)

    return damage


def without(name):
    """Returns what removes a file or folder of each run."""

    def damage(run):
        for path in [*run.rglob(name)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def other_data(run):
    rows(run.parent / "rows.npz", seed=1)


def no_data(run):
    """Deletes the data; those in the folder in which the run began are not to be found either."""
    (run.parent / "rows.npz").unlink()
    for info in run.rglob("run.json"):
        info.write_text(json.dumps(json.loads(info.read_text()) | {"folder": None}))
