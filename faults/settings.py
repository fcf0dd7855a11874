"""Runs that are resumed with other settings, each changed in turn, or with other data."""

import contextlib
import copy
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from faults.bits import Silence
from faults.tally import Tally
from runner.compose.checks import LABELS
from runner.compose.command_line import compose
from runner.errors import Occupied
from runner.runs.training import Training
from runner.storage.run_directory import Directory, leaves

COMMANDS = {
    "supervised": ["dataset=iris", "net.dropout=0.1"],
    "gan": ["scenario=gan", "seeds=2"],
    "diffusion": ["scenario=diffusion", "schedule=cosine"],
    "ppo": ["scenario=ppo", "ensemble=2"],
    "language_model": ["scenario=language_model", "watch=[net]"],
}
FREE = {  # also free: the horizon of an optimizer without a schedule
    *["steps", "figures", "allow", "traceback", "loop.steps", "loop.log_every", "loop.evaluate_every"],
    *["loop.save_every", "loop.patience", "evaluation.metrics", "evaluation.per_target", *LABELS],
}
SCHEDULED = {"diffusion", "language_model", "ppo"}
ORIGIN = {"versions": {}, "device": "cpu", "processors": 1, "data": "as it was"}
ROWS = 40
LIVES = ["steps=2"], ["steps=4"], ["steps=4", "allow=[data]"]


def settings(every: int = 1, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Changes one in `every` settings of a run of each scenario, and checks whether it may be resumed.

    Args:
        every: number of settings from one trial to the next.
        seed: of the new values.
        disabled: the protection to disable: "fingerprint", or "" for none.
    """
    frozen, chance = Tally("a setting that shapes the run is changed"), random.Random(seed)
    allowed, free = Tally("such a setting is changed, and allowed"), Tally("a free setting is changed")
    with tempfile.TemporaryDirectory() as folder, _without(disabled):
        for name, words in COMMANDS.items():
            config, run = compose(words), Directory(Path(folder) / name)
            run.begin(config, **ORIGIN)
            for key, old in list(leaves(config))[seed % every :: every]:
                new = _other(old, chance)
                changed, what = _changed(config, key, new), f"{name}: {key} {old!r} -> {new!r}, {seed=}"
                if key in FREE or (key == "optimizer.horizon" and name not in SCHEDULED):
                    free.count("lost" if _refusal(run, changed) else "survived", what)
                    continue
                change = f"{key}: {old} there, {new} asked for"
                frozen.count("survived" if change in _refusal(run, changed) else "silent", what)
                allowed.count(_when_allowed(run, config, changed, key, change), what)
    yield from (frozen, allowed, free)


def data(bits: int = 10, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Changes the data of a run, as a table and as arrays, and resumes it.

    Args:
        bits: number of trials in each of which a single bit is flipped.
        seed: of these bits, and of the rows.
        disabled: as in `settings`.
    """
    tally, chance = Tally("data is changed: a bit, a label, a name, order, length"), random.Random(seed)
    for kind, write in (("csv", _write_table), ("npz", _write_arrays)):
        with tempfile.TemporaryDirectory() as name, _without(disabled):
            folder = Path(name)
            drawn = np.random.default_rng(seed)
            x, y = drawn.normal(size=(ROWS, 4)).astype(np.float32), drawn.permutation(ROWS) % 3
            words = [f"dataset={kind}", f"dataset.path='{folder / 'rows'}.{kind}'", "dataset.target=y"]
            words += ["net.hidden_sizes=[4]", "dataset.batch_size=8", "figures=false"]
            begun, longer, allowing = (compose([*words, *more]) for more in LIVES)
            write(folder, x, y)
            _train(begun, folder / "run")
            for what, arrays in _changes(x, y, bits, chance):
                write(folder, *arrays)
                tally.count(_going_on(longer, folder / "run"), f"{kind}: {what}, {seed=}")
            tally.count(_going_on(allowing, folder / "run"), f"{kind}: allowed, {seed=}")
    yield tally


def _without(disabled: str) -> contextlib.AbstractContextManager:
    stack = contextlib.ExitStack()
    if disabled == "fingerprint":
        stack.enter_context(mock.patch("runner.storage.run_directory.differences", return_value=[]))
        stack.enter_context(mock.patch("runner.runs.provenance.digest", return_value=""))
    return stack


def _other(value: Any, chance: random.Random) -> Any:
    """Returns another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + chance.choice((-1, 1)) * chance.randrange(1, 10)
    if isinstance(value, float):
        return chance.choice((float(np.nextafter(value, 1e9)), value + 1, -1.5 - value))
    if isinstance(value, str):
        return chance.choice((value + "s", value[:-1]))
    if isinstance(value, list):
        return chance.choice((value[:-1], [*value, value[0]])) if value else [1]
    return "other"


def _changed(config: Mapping, key: str, value: Any) -> dict:
    changed: Any = copy.deepcopy(config)
    *path, last = key.split(".")
    node = changed
    for name in path:
        node = node[name]
    node[last] = value
    return changed


def _refusal(run: Directory, config: Mapping) -> str:
    try:
        run.claim(config)
    except Occupied as error:
        return str(error)
    return ""


def _when_allowed(run: Directory, config: Mapping, changed: dict, key: str, change: str) -> str:
    others = [name for name, _ in leaves(config) if name != key]
    if not _refusal(run, {**changed, "allow": others}):
        return "silent"
    changed["allow"] = [key]
    if _refusal(run, changed):
        return "lost"
    return "survived" if run.refuse_other_data(ORIGIN, changed) == [f"{change} (allowed)"] else "silent"


def _changes(x: np.ndarray, y: np.ndarray, bits: int, chance: random.Random) -> Iterator[tuple[str, tuple]]:
    for _ in range(bits):
        place, bit = chance.randrange(x.size), chance.randrange(23)  # of the mantissa: x stays finite
        flipped = x.copy()
        flipped.view(np.uint32).reshape(-1)[place] ^= np.uint32(1 << bit)
        yield f"{bit=} of {place=}", (flipped, y)
    row, other = chance.sample(range(ROWS), 2)
    relabelled, swapped = y.copy(), np.arange(ROWS)
    relabelled[row] = (y[row] + 1) % 3
    swapped[[row, other]] = other, row
    yield f"label of {row=}", (x, relabelled)
    yield f"rows {row}, {other} swapped", (x[swapped], y[swapped])
    yield "rows reversed", (x[::-1], y[::-1])
    yield f"{row=} left out", (np.delete(x, row, 0), np.delete(y, row))
    yield f"{row=} twice", (np.r_[x, x[[row]]], np.r_[y, y[[row]]])
    yield "other names, or another shape", (x.reshape(ROWS, 1, 4), y)


def _write_table(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    """Writes rows with all bits of `x`; if it has another shape, the classes have other names."""
    names = "abc" if x.ndim == 2 else "abd"
    rows = zip(x.reshape(len(x), -1), y, strict=True)
    lines = [",".join([*(f"{number:.9g}" for number in row), names[label]]) for row, label in rows]
    (folder / "rows.csv").write_text("\n".join(["p,q,r,s,y", *lines]))


def _write_arrays(folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    np.savez(folder / "rows.npz", x=x, y=y)


def _train(config: Mapping, place: Path) -> None:
    Training(config).run(place, lambda *_: Silence())


def _going_on(config: Mapping, place: Path) -> str:
    before = Directory(place).info
    try:
        _train(config, place)
    except Occupied as error:
        whole = "its data were others" in str(error) and Directory(place).info == before
        return "survived" if whole and not config["allow"] else "lost"
    recorded = "data: " in str(Directory(place).info.changes)
    return "survived" if recorded and config["allow"] else "silent"
