"""Commands on a run that are refused: no file of the run changes, and the run is continued afterwards."""

import contextlib
import io
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faults.bits import Silence
from faults.tally import Tally
from runner.compose.command_line import change, compose
from runner.errors import RunnerError
from runner.runs.seeds import prepared
from runner.runs.training import Training
from runner.storage import lock
from runner.storage.differences import FREE
from runner.storage.run_directory import Directory

WORDS = ["dataset=iris", "net.hidden_sizes=[4]", "dataset.batch_size=8", "figures=false", "steps=2"]
# Settings that change the shapes of the state.
MISFITS = {
    "optimizer.clip": ("0.5", "1.0", "2.0"),
    "net.hidden_sizes": ("[5]", "[4,4]", "[]"),
    "ensemble": ("2", "3"),
}


def refusals(trials: int = 50, seed: int = 0) -> Iterator[Tally]:
    """Resumes runs, one of them with two seeds, with allowed settings that their checkpoints do not fit."""
    tally, chance = Tally("resumed with settings that its checkpoint does not fit"), random.Random(seed)
    quiet = contextlib.redirect_stdout(io.StringIO())  # runs of several seeds print how each ended
    with tempfile.TemporaryDirectory() as folder, quiet:
        runs = [Path(folder) / "one", Path(folder) / "two"]
        Training(compose(WORDS)).run(runs[0], lambda *_: Silence())
        prepared(compose([*WORDS, "seeds=2"])).run(runs[1])
        for steps in range(3, trials + 3):
            key = chance.choice(list(MISFITS))
            words = [f"steps={steps}", f"{key}={chance.choice(MISFITS[key])}", f"allow={key}"]
            tally.count(_refused(chance.choice(runs), words), f"{words}, {seed=}")
        for run in runs:
            tally.count(_continued(run, trials + 3), f"{run.name} is continued")
    yield tally


def _refused(run: Path, words: list[str]) -> str:
    before = _files(run)
    try:
        prepared(change(Directory(run).config, words, sorted(FREE))).run(run)
    except RunnerError:  # Misfit, of the run or of its first member
        return "survived" if _files(run) == before else "lost"
    return "silent"


def _continued(run: Path, steps: int) -> str:
    try:
        prepared(change(Directory(run).config, [f"steps={steps}"], sorted(FREE))).run(run)
    except RunnerError:
        return "lost"
    return "survived" if Directory(run).info.step == steps else "lost"


def _files(run: Path) -> dict[Path, tuple[int, bytes]]:
    files = [path for path in run.rglob("*") if path.is_file() and path.name != lock.NAME]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
