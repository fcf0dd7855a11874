"""Checkpoints: states on disk, the latest two and the best, each complete or absent."""

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
from runner.process import held, signals
from runner.process.files import make_folder, sync
from runner.storage import arrays, seals

log = logging.getLogger("runner")


class _Deleted(Exception):
    """A checkpoint that a writer deleted while it was read; there are newer ones."""


class Checkpoints:
    """The checkpoints of one run, each a sealed folder named after its step; a thread saves them during the training.

    A folder is written and sealed under another name before it is renamed, so that after a kill or a power cut at any
    moment all folders named after a step are complete. Nothing is written or deleted before the first save.

    Args:
        directory: a directory for the checkpoints only; created at the first save.
        mode: whether the best saved value is the "min" or the "max"; None takes that of the loop, or else "min".
        on_saved: called with each step that is on the disk, by the thread that saves.
    """

    def __init__(
        self, directory: str | Path, mode: str | None = None, on_saved: Callable[[int], None] | None = None
    ):
        self.directory = Path(directory).absolute()
        self._mode, self._on_saved = mode, on_saved
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pending: Future | None = None
        self._broken: set[int] = set()  # the steps that `newest` rejected
        self._size = 0  # bytes of the last saved step

    @property
    def steps(self) -> list[int]:
        """The steps that can be restored, ascending: those with a seal, except those that `newest` rejected."""
        sealed = [step for step in self._folders() if (self._folder(step) / seals.NAME).is_file()]
        return [step for step in sealed if step not in self._broken]

    @property
    def best(self) -> int | None:
        """The step with the best saved value, the first of equal ones, or the latest step if no value was saved.

        Raises:
            Unreadable: the seal of a step is damaged.
        """
        notes = {step: self._note(step) for step in self.steps}
        for step, note in notes.items():
            if isinstance(note, seals.Broken):
                raise Unreadable(f"{self._folder(step)}: {note}; name another step")
        return self._best(notes)

    def newest(self) -> int | None:
        """Returns the newest complete step, after a check of every byte, or None if there is no step at all.

        Logs a warning with the reason for each newer step that is not complete.

        Raises:
            Unreadable: there are steps, and none is complete.
        """
        newest = self._newest()
        return newest and newest[0]

    def refuse_misfit(self, step: int, template: Any) -> None:
        """Checks by the seal of a step that its state has the shapes and dtypes of a template.

        Raises:
            Misfit: names, shapes or dtypes differ.
        """
        _check_fit(arrays.kinds(template), seals.note(self._folder(step))["leaves"])

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
            reasons = "; ".join(faults.values())
            raise Unreadable(
                f"no checkpoint is whole ({reasons}); bring one back, or take another run directory"
            )
        return None

    def save(self, step: int, state: Any, extra: dict, value: float | None = None) -> None:
        """Starts to save a state, which may be donated as soon as this method returns.

        Args:
            step: steps done.
            state: the state; its leaves are arrays.
            extra: other values that a resumed run needs and JSON can represent.
            value: the value of the metric by which the best step is chosen, if it was just evaluated.

        Raises:
            StorageError: the previous save has failed twice, or there is already a checkpoint of this or a later step.
        """
        self.wait()
        if step <= (newest := max(self.steps, default=-1)):
            raise StorageError(f"{self.directory}: step {step} was not saved; the newest step is {newest}")
        note = {"step": step, "value": value, "mode": extra.get("mode"), "leaves": arrays.kinds(state)}
        self._pending = self._thread.submit(self._save, step, arrays.on_host(state), extra, note)

    def refuse_failed(self) -> None:
        """Raises StorageError if the last save has failed twice; does not wait for a save in progress."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """Returns (step, state, extra) of a step, by default the newest complete one, or None if nothing is saved.

        Args:
            template: shapes and dtypes of the state.
            step: the step to restore, one of `steps`.

        Raises:
            Misfit: names, shapes or dtypes differ from those of the template; nothing is cast.
            Unreadable: the given step is not complete, or, by default, no step is.
        """
        checked = self._newest() if step is None else (step, self._verify_known(step))
        if checked is None:
            return None
        chosen, note = checked
        _check_fit(arrays.kinds(template), note["leaves"])
        try:
            with self._reading(chosen):
                return chosen, *arrays.read(self._folder(chosen), template)
        except _Deleted:
            return self.restore(template, step)
        except Exception as error:  # Orbax and tensorstore raise errors of many types
            raise Unreadable(f"{self._folder(chosen)}: cannot be read: {_line(error)}") from error

    def wait(self) -> None:
        """Waits until the last save is on the disk.

        Raises:
            StorageError: the last save has failed twice.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Waits for the last save, and ends the thread; the end of a `with` block calls this method.

        Raises:
            StorageError: the last save has failed twice.
        """
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _folders(self) -> list[int]:
        names = [path.name for path in self.directory.iterdir()] if self.directory.is_dir() else []
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def _folder(self, step: int) -> Path:
        return self.directory / str(step)

    def _verify_known(self, step: int) -> dict:
        with contextlib.suppress(_Deleted):
            if step in self.steps:
                return self._verify(step)
        known = ", ".join(map(str, self.steps))
        raise Misfit(f"there is no checkpoint of step {step}; there are {known}")

    def _verify(self, step: int) -> dict:
        try:
            with self._reading(step):
                note = _checked(seals.verify(self._folder(step)))
            if note.get("step") != step:
                raise seals.Broken(f"it was sealed as step {note.get('step')}")
        except seals.Broken as fault:
            raise Unreadable(f"{self._folder(step)}: {fault}") from fault
        return note

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Raises _Deleted if the step does not exist after the read, whether or not the read failed."""
        try:
            yield
        finally:
            if not self._folder(step).exists():
                raise _Deleted

    def _note(self, step: int) -> dict | seals.Broken | None:
        try:
            return _checked(seals.note(self._folder(step)))
        except seals.Broken as fault:
            return fault
        except FileNotFoundError:
            return None  # a writer has just deleted the step

    @signals.saving()
    def _save(self, step: int, state: Any, extra: dict, note: dict) -> None:
        try:
            self._write(step, state, extra, note, "draft")
        except Exception as error:  # Orbax and tensorstore raise errors of many types on a full disk
            held.clear_gone(self.directory, f".draft-{step}*")
            log.warning("step %d was not saved (%s); trying once more", step, _line(error))
            try:  # under another name, because threads of the first attempt may still write
                self._write(step, state, extra, note, "draft-again")
            except Exception as again:
                saved = ", ".join(map(str, self.steps)) or "none"
                message = f"{self._folder(step)}: was not saved: {_line(again)}; steps that are: {saved}"
                raise StorageError(message) from again
        if self._on_saved is not None:
            self._on_saved(step)
        self._delete_old_steps()

    def _write(self, step: int, state: Any, extra: dict, note: dict, name: str) -> None:
        make_folder(self.directory)
        for leftover in (*self.directory.glob(".draft-*"), *self.directory.glob(".trash-*")):
            shutil.rmtree(leftover, ignore_errors=True)  # one that stays only takes up space
        self._check_free_space(sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        draft = self.directory / f".{name}-{step}"
        arrays.write(draft, state, extra)
        arrays.read_back(draft, state, extra)
        self._size = seals.seal(draft, note)
        held.refuse_gone(self.directory)
        if self._folder(step).exists():  # a broken one, otherwise `save` had raised an error
            self._delete(step)
        draft.rename(self._folder(step))
        sync(self.directory)
        sync(self.directory.parent)
        self._broken.discard(step)

    def _check_free_space(self, size: int) -> None:
        needed, free = 3 * max(size, self._size), shutil.disk_usage(self.directory).free
        if free < needed:
            message = f"{free / 1e6:.3g} MB are free, and {needed / 1e6:.3g} MB are needed"
            raise OSError(errno.ENOSPC, message, str(self.directory))

    def _delete_old_steps(self) -> None:
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
        modes = [self._mode, *(note.get("mode") for note in reversed(notes.values()) if note), "min"]
        best = best_of(values.items(), next(filter(None, modes)))
        return best[0] if best else max(values, default=None)


def _checked(note: dict) -> dict:
    if isinstance(note.get("value"), int | float | None) and isinstance(note.get("leaves"), dict):
        return note
    raise seals.Broken("its seal is damaged")


def _check_fit(expected: dict[str, str], saved: dict[str, str]) -> None:
    for name in expected | saved:
        if expected.get(name) != saved.get(name):
            raise Misfit(
                f"the checkpoint does not fit: {name} is {saved.get(name, 'missing')} in it,"
                f" and {expected.get(name, 'unknown')} in this configuration"
            )


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
