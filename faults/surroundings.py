"""What surrounds a run fails: its output, its directory, a disk without inodes, a read that never returns."""

import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults.power import CAN_MOUNT, mounted
from faults.stops import PATIENCE, WORDS, Wrong, expect, judge_bits
from faults.tally import Tally

LANES = 4  # commands that run in parallel
RECORDS = 9  # of a run, at which a fault can be injected
Run = tuple[int, str]  # exit code and standard error
# Shells that start the command with a changed output; `$@` is the command.
OUTPUTS = {
    "full": 'exec "$@" > /dev/full',
    "errors full": 'exec "$@" 2> /dev/full',
    "both full": 'exec "$@" > /dev/full 2>&1',
    "closed": 'exec "$@" >&-',
    "errors closed": 'exec "$@" 2>&-',
    "both closed": 'exec "$@" >&- 2>&-',
    "all closed": 'exec "$@" <&- >&- 2>&-',
    "no reader": 'trap "" HUP; "$@" | true; exit 0',
}


def outputs(seed: int = 0) -> Iterator[Tally]:
    """Runs commands whose output cannot be written: they end as usual, with the same bits."""
    shells = [["sh", "-c", shell, "sh"] for shell in OUTPUTS.values()]
    yield _tried("output full, closed or without a reader", [(None, shell, 0) for shell in shells], seed)


def ignored(trials: int = 5, seed: int = 0) -> Iterator[Tally]:
    """Sends SIGHUP to commands whose parent ignores it, as `nohup` does: they go on."""
    shell = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    yield _tried("SIGHUP that the parent ignored", [("hang up", shell, 0)] * trials, seed)


def gone(trials: int = 15, seed: int = 0) -> Iterator[Tally]:
    """Renames, deletes or replaces the directory of a run: it ends with 4, and leaves the old path alone."""
    kinds = itertools.islice(itertools.cycle(("rename", "delete", "replace")), trials)
    yield _tried("run directory renamed, deleted or replaced", [(kind, [], 4) for kind in kinds], seed)


def waiting(trials: int = 3, seed: int = 0) -> Iterator[Tally]:
    """Stops runs that read from a pipe that nobody writes to: they end after 30 seconds, and resume."""
    yield _tried("stopped while a read never returns", [("wait", [], 143)] * trials, seed)


def inodes(trials: int = 12, seed: int = 0) -> Iterator[Tally]:
    """Runs on disks with too few inodes: the run names the file, its status says why, and it resumes with more."""
    tally, chance = Tally("disk without inodes, tmpfs"), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = _whole(Path(folder))
        for trial in range(trials):
            disk, count = Path(folder) / f"disk-{trial}", chance.randrange(8, 90)
            disk.mkdir()
            with mounted(disk, "-t", "tmpfs", "-o", f"size=64m,nr_inodes={count}", "tmpfs"):
                try:
                    code, complaint = _run(disk / "run")
                    if code:
                        expect(code == 4 and str(disk) in complaint, "silent", f"{code}: {complaint}")
                        expect(complaint.count("\n") == 1, "silent", complaint)
                        _judge_reason(disk / "run", complaint)
                    subprocess.run(["mount", "-o", "remount,nr_inodes=9999", disk], check=True)
                    code, complaint = _run(disk / "run")
                    expect(code == 0, "lost", complaint)
                    judge_bits(whole, disk / "run")
                except Wrong as wrong:
                    tally.count(wrong.args[0], f"{count} inodes, {trial=}, {seed=}: {wrong.args[1]}")
                else:
                    tally.count("survived", "")
    yield tally


def _judge_reason(directory: Path, complaint: str) -> None:
    """Checks that the run info, if the run had begun, tells the reason that the command gave."""
    if (path := directory / "run.json").is_file():
        info = json.loads(path.read_text())
        expect(info["status"] == "failed", "silent", f"its status is {info['status']}")
        expect(bool(info["error"]), "silent", f"it does not say why: {complaint}")


def _tried(fault: str, trials: list[tuple[str | None, list[str], int]], seed: int) -> Tally:
    tally, chance = Tally(fault), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(LANES) as lanes:
        whole = _whole(Path(folder))
        turns = [chance.randrange(1, RECORDS) for _ in trials]
        results = [
            lanes.submit(_try, *trial, turn, whole, Path(folder) / str(number))
            for number, (trial, turn) in enumerate(zip(trials, turns, strict=True))
        ]
        for trial, turn, result in zip(trials, turns, results, strict=True):
            outcome, why = result.result()
            tally.count(outcome, f"{trial}, {turn=}, {seed=}: {why}")
    return tally


def _whole(folder: Path) -> Path:
    code, complaint = _run(folder / "whole")
    if code:
        raise RuntimeError(f"the command does not run even if nothing fails: {complaint}")
    return folder / "whole"


def _try(
    kind: str | None, shell: list[str], expected: int, turn: int, whole: Path, directory: Path
) -> tuple[str, str]:
    """Returns the outcome of a command with an injected fault, and of the same command after it, and the reason."""
    code, complaint = _run(directory, kind and [kind, turn], shell)
    try:
        expect(code == expected, "silent", f"it exits with {code}: {complaint}")
        if kind in ("rename", "delete", "replace"):
            expect("the run directory is gone" in complaint, "silent", complaint)
            expect(
                directory.exists() == (kind == "replace"), "silent", f"the old path is {directory.exists()}"
            )
        if kind == "replace":
            left = [path.name for path in directory.iterdir()]
            expect(left == ["mine"], "silent", f"there is {left} in what replaced it")
        moved = directory.with_suffix(".moved")
        if kind == "delete":
            return "survived", ""
        code, complaint = _run(moved if moved.exists() else directory)
        expect(code == 0, "lost", f"it does not go on: {complaint}")
        judge_bits(whole, moved if moved.exists() else directory)
    except Wrong as wrong:
        return wrong.args
    return "survived", ""


def _run(directory: Path, fault: list | None = None, shell: list[str] | None = None) -> Run:
    words = [sys.executable, "-m", "faults.surroundings", json.dumps([fault, str(directory)])]
    ended = subprocess.run(
        [*(shell or []), *words, *WORDS, f"hydra.run.dir={directory}"],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return ended.returncode, ended.stderr


def _inject(kind: str, directory: Path) -> None:
    """Does to this process or its directory what the trial asks for."""
    moved = directory.with_suffix(".moved")
    if kind == "hang up":
        os.kill(os.getpid(), signal.SIGHUP)
    elif kind == "wait":
        pipe = directory.with_suffix(".pipe")
        os.mkfifo(pipe)
        os.kill(os.getpid(), signal.SIGTERM)
        pipe.open().close()
    else:
        directory.rename(moved)
        if kind == "delete":
            shutil.rmtree(moved, ignore_errors=True)  # a thread may be saving
        if kind == "replace":
            directory.mkdir()
            (directory / "mine").touch()


def _arm(kind: str, turn: int, directory: Path) -> None:
    from runner.loop import log_averages

    turns, add = itertools.count(1), log_averages.Record.add

    def hooked(*arguments: Any) -> Any:
        if next(turns) == turn:
            _inject(kind, directory)
        return add(*arguments)

    log_averages.Record.add = hooked


def _main(asked: str, *words: str) -> None:
    from runner.process.compile_cache import keep_compiled_programs

    keep_compiled_programs()  # before the hook is installed, which imports JAX
    fault, directory = json.loads(asked)
    if fault is not None:
        _arm(*fault, Path(directory))
    from runner.cli import command

    sys.argv = ["runner", *words]
    command()


def programs(quick: bool, seed: int) -> dict[str, Callable[[], Iterator[Tally]]]:
    """Returns the programs of this module by name."""
    few = lambda whole, short: short if quick else whole
    part = functools.partial
    known = {
        "outputs": part(outputs, seed),
        "ignored": part(ignored, few(5, 1), seed),
        "gone": part(gone, few(15, 3), seed),
        "waiting": part(waiting, few(3, 1), seed),
    }
    return known | ({"inodes": part(inodes, few(12, 2), seed)} if CAN_MOUNT else {})


if __name__ == "__main__":
    _main(*sys.argv[1:])
