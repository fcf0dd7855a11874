"""Readers of a run that is being written: none reads partial data, none fails, and none affects the run."""

import contextlib
import functools
import io
import itertools
import multiprocessing
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from faults import subject
from faults.tally import Tally
from runner import open_run
from runner.cli import main
from runner.commands import listings
from runner.commands.ls import ls
from runner.errors import Misfit
from runner.runs import comparison
from runner.storage.checkpoints import Checkpoints
from runner.storage.run_directory import Directory
from runner.writers import JsonLines, TensorBoard

COMMAND = ["dataset=iris", "net.hidden_sizes=[16]", "steps=1", "loop.log_every=1", "figures=false"]
PATIENCE = 60  # seconds for the writer to begin
METRIC = "validation/loss"
_context = multiprocessing.get_context("spawn")


def readers(saves: int = 50, seed: int = 0) -> Iterator[Tally]:
    """Reads a run while a process saves its steps, with a thread for each way to read it.

    Args:
        saves: number of steps; all but the latest two and the best are deleted meanwhile.
        seed: of the values that determine which step is the best.
    """
    tally, reads = Tally("read while it was written"), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        with contextlib.redirect_stdout(io.StringIO()):
            main([*COMMAND, f"hydra.run.dir={path}"])
        begun = _context.Event()
        writer = _context.Process(target=_write, args=(path, saves, seed, begun))
        with (
            contextlib.redirect_stdout(io.StringIO()),
            subject.warnings() as warned,
        ):
            writer.start()
            begun.wait(PATIENCE)
            threads = [
                threading.Thread(target=_go_round, args=(read, path, writer, reads)) for read in READERS
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            writer.join()
            reads += [_read(read, path, "afterwards") for read in READERS]
        for outcome, what in reads:
            tally.count(outcome, what)
        for warning in warned:  # of damage, although there is none
            tally.count("lost", warning)
        whole = writer.exitcode == 0 and Checkpoints(path / "checkpoints").newest() == saves + 1
        tally.count("survived" if whole else "lost", f"the writer ended with {writer.exitcode}")
    yield tally


def _write(path: Path, saves: int, seed: int, begun: Any) -> None:
    directory, chance, run = Directory(path), np.random.default_rng(seed), open_run(path)
    template, writers = run.state(), (JsonLines(path, 1, "raw"), TensorBoard(path, 1, {}))
    report = lambda step: directory.update_info(saved=step)
    begun.set()
    with Checkpoints(path / "checkpoints", on_saved=report) as checkpoints:
        for step in range(2, saves + 2):
            value = chance.uniform()
            for writer in writers:
                writer.write(step, {METRIC: value, "loss": float(step)}, {})
            checkpoints.save(step, _filled(template, step), {"step": step}, value)
    for writer in writers:
        writer.close()


def _filled(template: Any, step: int) -> Any:
    """Returns a state in which every number is the step."""
    return jax.tree.map(lambda leaf: jax.numpy.full(leaf.shape, step, leaf.dtype), template)


def _go_round(read: Callable[[Path], None], path: Path, writer: Any, reads: list[tuple[str, str]]) -> None:
    for turn in itertools.count(1):
        if not writer.is_alive():
            return
        reads.append(_read(read, path, f"turn {turn}"))


def _read(read: Callable[[Path], None], path: Path, when: str) -> tuple[str, str]:
    try:
        read(path)
    except subject.Silent as error:
        return "silent", f"{read.__name__}, {when}: {error}"
    except Exception as error:  # no reader may fail because of the writer
        return "lost", f"{read.__name__}, {when}: {type(error).__name__}: {error}"
    return "survived", ""


def _newest(path: Path) -> None:
    _refuse(Checkpoints(path / "checkpoints").newest() is None)


def _restored(path: Path) -> None:
    _refuse_torn(Checkpoints(path / "checkpoints").restore(_template(path)))


def _oldest(path: Path) -> None:
    checkpoints = Checkpoints(path / "checkpoints")
    with contextlib.suppress(Misfit):  # the step was deleted, which is reported
        _refuse_torn(checkpoints.restore(_template(path), checkpoints.steps[0]))


def _best(path: Path) -> None:
    _refuse(Checkpoints(path / "checkpoints").best is None)


def _opened(path: Path) -> None:
    run = open_run(path)
    _refuse([row["step"] for row in run.records] != [*range(1, len(run.records) + 1)])
    _refuse(any(row["loss"] != row["step"] for row in run.records[1:]))
    _refuse(run.info.spec is None)
    with contextlib.suppress(Misfit):
        run.state()


def _listed(path: Path) -> None:
    ls(str(path.parent))
    listings.status(str(path))
    listings.show(str(path))


def _compared(path: Path) -> None:
    (row,) = comparison.compare(path.parent, METRIC).rows
    _refuse(row.best is None)


def _drawn(path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(path / "tensorboard")).Reload()
    drawn = [(event.step, event.value) for event in events.Scalars("loss")]
    _refuse(drawn[1:] != [(step, float(step)) for step in range(2, len(drawn) + 1)])


READERS = (_newest, _restored, _oldest, _best, _opened, _listed, _compared, _drawn)


def _refuse_torn(found: tuple[int, Any, dict] | None) -> None:
    _refuse(found is None)
    assert found is not None
    step, state, extra = found
    if step > 1:  # step 1 is that of the training
        _refuse(
            extra != {"step": step}
            or not all((np.asarray(leaf) == step).all() for leaf in jax.tree.leaves(state))
        )


def _refuse(torn: bool) -> None:
    if torn:
        raise subject.Silent("what was read is not what was written")


@functools.cache
def _template(path: Path) -> Any:
    run = open_run(path)
    return jax.eval_shape(run.scenario.init, run.keys.init, run.spec)
