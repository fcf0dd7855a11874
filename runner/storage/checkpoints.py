"""Keeps states on disk: the latest two and the best, whole or not at all."""

import contextlib
import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from runner.errors import Misfit, StorageError, Unreadable
from runner.loop.best import best_of
from runner.process.files import sync
from runner.storage import arrays, seals

log = logging.getLogger("runner")


class _Deleted(Exception):
    """A step that a writer deleted while it was read: there are newer ones."""


class Checkpoints:
    """The checkpoints of one run, each a sealed folder named for its step; saving goes on beside the training.

    A folder is written and sealed under another name before it gets its own, so that after a kill or a power cut at
    any moment those named for a step are whole. Nothing is written or deleted before the first save.

    Args:
        directory: of the checkpoints alone; made at the first save.
        mode: "min" or "max": which of the saved values is the best.
        told: called with each step that is safe on the disk, by the thread that saves.
    """

    def __init__(self, directory: str | Path, mode: str = "min", told: Callable[[int], None] | None = None):
        self.directory = Path(directory).absolute()
        self._mode = mode
        self._told = told
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pending: Future | None = None
        self._broken: set[int] = set()  # what `newest` has found
        self._size = 0  # of the step saved last, in bytes

    @property
    def steps(self) -> list[int]:
        """The steps that can be restored, ascending: those with a seal, but for those that `newest` found broken."""
        sealed = [step for step in self._folders() if (self._folder(step) / seals.NAME).is_file()]
        return [step for step in sealed if step not in self._broken]

    @property
    def best(self) -> int | None:
        """The step whose saved value is the best, the first of equals, or the latest where none was given.

        Raises:
            Unreadable: the seal of a step is damaged.
        """
        notes = {step: self._note(step) for step in self.steps}
        for step, note in notes.items():
            if isinstance(note, seals.Broken):
                raise Unreadable(f"{self._folder(step)}: {note}; name another step")
        return self._best(notes)

    def newest(self) -> int | None:
        """Gives the newest whole step, every byte of it checked, or None where there is no step at all.

        Each newer one that is not whole is told, with the reason, as a warning.

        Raises:
            Unreadable: there are steps, and none is whole.
        """
        found = self._newest()
        return found and found[0]

    def _newest(self) -> tuple[int, dict] | None:
        faults = {}
        for step in reversed(self._folders()):
            try:
                note = self._verify(step)
            except Unreadable as error:
                faults[step] = str(error)
                continue
            except _Deleted:
                return self._newest()
            for broken in faults.keys() - self._broken:
                log.warning("%s; going back to step %d", faults[broken], step)
            self._broken |= faults.keys()
            return step, note
        if faults:
            told = "; ".join(faults.values())
            raise Unreadable(
                f"no checkpoint is whole ({told}); bring one back, or take another run directory"
            )
        return None

    def save(self, step: int, state: Any, extra: dict, value: float | None = None) -> None:
        """Begins to save a state; it may be donated at once.

        Args:
            step: steps made.
            state: arrays only.
            extra: what else a resumed run needs; goes through JSON.
            value: of the metric that the best follows, if it was just evaluated.

        Raises:
            StorageError: the save before this one has failed, twice; or this step or a newer one is there.
        """
        self._join()
        newest = max(self.steps, default=-1)
        if step <= newest:
            raise StorageError(
                f"{self.directory}: step {step} was not saved; the newest step there is {newest}"
            )
        note = {"step": step, "value": None if value is None else float(value), "leaves": arrays.kinds(state)}
        self._pending = self._thread.submit(self._save, step, arrays.on_host(state), extra, note)

    def refuse_failed(self) -> None:
        """Raises StorageError where the last save has failed, twice; does not wait for one that is going on."""
        if self._pending is not None and self._pending.done():
            self._join()

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """Gives (step, state, extra) of a step, the newest whole one by default, or None where nothing is saved.

        Args:
            template: shapes and dtypes of the state.
            step: which; it must be one of `steps`.

        Raises:
            Misfit: names, shapes or dtypes differ from the template's; nothing is cast.
            Unreadable: the step asked for is not whole, or no step is.
        """
        found = self._newest() if step is None else (step, self._asked(step))
        if found is None:
            return None
        at, note = found
        _refuse_misfit(arrays.kinds(template), note["leaves"])
        try:
            with self._reading(at):
                return at, *arrays.read(self._folder(at), template)
        except _Deleted:
            return self.restore(template, step)

    def close(self) -> None:
        """Waits for the last save.

        Raises:
            StorageError: it has failed, twice.
        """
        try:
            self._join()
        finally:
            self._thread.shutdown()

    def _join(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _folders(self) -> list[int]:
        names = [path.name for path in self.directory.iterdir()] if self.directory.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def _folder(self, step: int) -> Path:
        return self.directory / str(step)

    def _asked(self, step: int) -> dict:
        with contextlib.suppress(_Deleted):
            if step in self.steps:
                return self._verify(step)
        known = ", ".join(map(str, self.steps))
        raise Misfit(f"there is no checkpoint of step {step}; there are {known}")

    def _verify(self, step: int) -> dict:
        try:
            with self._reading(step):
                note = seals.verify(self._folder(step))
            if note["step"] != step:
                raise seals.Broken(f"it was sealed as step {note['step']}")
        except seals.Broken as fault:
            raise Unreadable(f"{self._folder(step)}: {fault}") from fault
        return note

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Raises _Deleted if the step is gone after it was read, whatever that gave."""
        try:
            yield
        finally:
            if not self._folder(step).exists():
                raise _Deleted

    def _note(self, step: int) -> dict | seals.Broken | None:
        try:
            return seals.note(self._folder(step))
        except seals.Broken as fault:
            return fault
        except FileNotFoundError:
            return None  # a writer has just deleted it

    def _save(self, step: int, state: Any, extra: dict, note: dict) -> None:
        try:
            self._write(step, state, extra, note, "draft")
        except Exception as error:  # Orbax and tensorstore tell a full disk by errors of many types
            log.warning("step %d was not saved (%s); trying once more", step, _line(error))
            try:  # under another name, for threads of the first trial may still write
                self._write(step, state, extra, note, "draft-again")
            except Exception as again:
                there = ", ".join(map(str, self.steps)) or "none"
                raise StorageError(
                    f"{self._folder(step)}: was not saved: {_line(again)}; steps that are: {there}"
                ) from again
        if self._told is not None:
            self._told(step)
        self._delete_what_is_not_kept()

    def _write(self, step: int, state: Any, extra: dict, note: dict, name: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for left in (*self.directory.glob(".draft-*"), *self.directory.glob(".trash-*")):
            shutil.rmtree(left, ignore_errors=True)  # it takes room, and does no harm
        self._refuse_a_full_disk(sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        draft = self.directory / f".{name}-{step}"
        arrays.write(draft, state, extra)
        self._size = seals.seal(draft, note)
        if self._folder(step).exists():  # broken, or `save` would have refused
            self._delete(step)
        draft.rename(self._folder(step))
        sync(self.directory)
        sync(self.directory.parent)
        self._broken.discard(step)

    def _refuse_a_full_disk(self, size: int) -> None:
        needed, free = 3 * max(size, self._size), shutil.disk_usage(self.directory).free
        if free < needed:
            told = f"{free / 1e6:.3g} MB are free, and {needed / 1e6:.3g} MB are needed"
            raise OSError(errno.ENOSPC, told, str(self.directory))

    def _delete_what_is_not_kept(self) -> None:
        notes = {step: note for step in self.steps if isinstance(note := self._note(step), dict)}
        for step in notes.keys() - {*sorted(notes)[-2:], self._best(notes)}:
            try:
                self._delete(step)
            except OSError as error:  # nothing is lost, and the next save tries again
                log.warning("step %d was not deleted (%s)", step, _line(error))

    def _delete(self, step: int) -> None:
        trash = self.directory / f".trash-{step}"
        self._folder(step).rename(trash)
        sync(self.directory)
        shutil.rmtree(trash)

    def _best(self, notes: dict) -> int | None:
        values = {step: notes[step]["value"] for step in sorted(notes) if notes[step]}
        best = best_of(values.items(), self._mode)
        return best[0] if best else max(values, default=None)


def _refuse_misfit(wanted: dict[str, str], found: dict[str, str]) -> None:
    for name in wanted | found:
        if wanted.get(name) != found.get(name):
            raise Misfit(
                f"the checkpoint does not fit: {name} is {found.get(name, 'missing')} in it,"
                f" and {wanted.get(name, 'unknown')} in this configuration"
            )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
