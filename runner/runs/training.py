"""Trains one run of a configuration: prepares it before anything is written, then trains it in a directory."""

import functools
import io
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import jax

from runner.compose.build import build, bytes_of, refuse_beyond_memory
from runner.compose.tree import leaves
from runner.compose.trust import trusting
from runner.core import Writer, abilities
from runner.errors import Stopped, Unreadable
from runner.loop.best import best_of
from runner.process.files import append
from runner.process.terminal import EscapingFormatter, escaped
from runner.runs import provenance
from runner.runs.warm_start import WarmStart
from runner.storage.checkpoints import Checkpoints
from runner.storage.lock import Lock
from runner.storage.run_directory import Directory
from runner.storage.run_info import NO_BEST, RunInfo
from runner.writers import Progress, figures, file_writers, parameter_table, refuse_damaged

log = logging.getLogger("runner")
NOT_ENDED = {"step": None, "best": NO_BEST, "stopped_early": False}


class Training:
    """A run that is ready to train: its parts are built and fit each other, and nothing is written yet.

    Args:
        config: resolved and checked.
        known: datasets of other runs, by their configurations, which this run shares.
        saved: whether the configuration is that of a saved run, as in `Loop.prepare`.

    Attributes:
        config: the configuration, whose `loop.mode` is the direction of the metric `loop.best`.

    Raises:
        ValueError: a part rejects a setting or the data.
    """

    def __init__(self, config: Mapping, known: dict | None = None, saved: bool = False):
        self.parts = build(config, known)
        scenario, dataset, loop, evaluator = self.parts
        self.prepared = loop.prepare(
            scenario, dataset, key=jax.random.key(config["seed"]), evaluator=evaluator, saved=saved
        )
        mode = self.prepared.mode or config["loop"]["mode"]
        self.config = {**config, "loop": {**config["loop"], "mode": mode}}
        refuse_beyond_memory(self.prepared.template)
        self.warm_start = None
        if config["init_from"] is not None:
            with trusting(config):
                self.warm_start = WarmStart(config["init_from"], config["init_step"], config["init_names"])

    @property
    def memory(self) -> int:
        """The bytes that the run takes at least: three times its state, to update and to save it, and its data."""
        return 3 * bytes_of(self.prepared.template) + bytes_of(tuple(self.parts.dataset))

    @property
    def metrics(self) -> dict[str, dict]:
        """The declared metrics, for the run info."""
        return {name: metric._asdict() for name, metric in self.prepared.metrics.items()}

    def refuse_directory(self, path: str | Path) -> None:
        """Raises Occupied if this run cannot use the directory, or ValueError if it cannot begin in it."""
        own = Directory(path)
        own.claim(self.config)
        if not own.is_run:
            self.refuse_to_begin()

    def refuse_to_begin(self) -> None:
        """Raises ValueError if the first state cannot be made, which a resumed run does not need."""
        if self.warm_start is not None:
            self.warm_start.refuse_misfit(self.prepared.template)

    def origin(self) -> Callable[[], dict]:
        """Returns a function that computes the fields of `provenance.of` once, when they are needed."""
        return functools.cache(lambda: provenance.of(self.parts.dataset))

    def run(
        self,
        directory: str | Path,
        progress: Callable[..., Writer] = Progress,
        stop: Callable[[], bool] | None = None,
    ) -> float | None:
        """Trains in a run directory, from its newest checkpoint if there is one.

        Args:
            directory: created if it does not exist.
            progress: creates the writer that shows it, from the number of steps, the first step and those of an epoch.
            stop: returns whether to save and stop.

        Returns:
            The best value of the metric that `loop.best` names, or None.

        Raises:
            Busy: another process, or thread, trains in the directory.
            Occupied: the directory belongs to another configuration.
            Unreadable: the directory holds checkpoints, or its run info mentions one, and none is complete.
            Misfit: the newest checkpoint does not fit this configuration.
            ValueError: a record of the run is damaged.
            NotFinite: a loss or the state is not finite; the run can be resumed from its newest checkpoint.
            Stopped: `stop` returned true; the run can be resumed from that step.
        """
        own = Directory(directory)
        own.claim(self.config)
        with Lock(own.path), self._checkpoints(own) as checkpoints:
            origin = self.origin()
            before, start, changes = self._continued(own, checkpoints, origin)
            if before and self._has_ended(before, start):
                own.relabel(self.config)
                log.info("already finished at step %d: %s", start, own.path)
                return before.best["value"]
            self._begin(own, start, origin(), before, changes)
            with _logging_to(own.path / "runner.log"), own.recording_the_end():
                self._announce(own.path, start, changes)
                if stop is not None and stop():  # before compilation, which may take minutes
                    raise Stopped(f"stopped at step {start}")
                return self._train(own, checkpoints, start, progress, stop)

    def refuse_to_continue(self, directory: Directory, origin: Callable[[], Mapping] | None = None) -> None:
        """Checks that the run in a directory, if there is one, can be continued as this run; writes nothing.

        Args:
            directory: the run directory, which need not exist.
            origin: as returned by `origin`, which is the default; members of one job share it.

        Raises:
            Exception: the errors of `run` that it raises before it writes.
        """
        directory.claim(self.config)
        with Checkpoints(directory.path / "checkpoints") as checkpoints:
            self._continued(directory, checkpoints, origin or self.origin())

    def _continued(
        self, directory: Directory, checkpoints: Checkpoints, origin: Callable[[], Mapping]
    ) -> tuple[RunInfo | None, int, list[str]]:
        """Returns the run info, the step from which this run continues, and what has changed; writes nothing."""
        before = directory.info if directory.is_run else None
        start = _start(before, checkpoints)
        if not (before and start) or self.config["init_from"] != directory.config["init_from"]:
            self.refuse_to_begin()
        if before is None or self._has_ended(before, start):
            return before, start, []
        if start:
            checkpoints.refuse_misfit(start, self.prepared.template)
            refuse_damaged(directory.path)
        now = origin()
        if not (before.data or "").startswith(f"{provenance.DIGEST}:"):  # of an earlier version
            now = {**now, "data": provenance.digest_like(before.data, self.parts.dataset)}
        return before, start, directory.refuse_other_data(now, self.config)

    def _checkpoints(self, directory: Directory) -> Checkpoints:
        saved = lambda step: directory.update_info(saved=step)
        return Checkpoints(directory.path / "checkpoints", self.prepared.mode, saved)

    def _begin(
        self, directory: Directory, start: int, origin: dict, before: RunInfo | None, changes: list[str]
    ) -> None:
        """Writes the run info of a run that starts or resumes."""
        dated = [f"from step {start}: {change}" for change in changes]
        directory.begin(
            self.config,
            **origin,
            seed=self.config["seed"],
            init_from=before.init_from
            if before and start
            else self.warm_start and self.warm_start.description,
            weights=abilities.weights(self.parts.scenario),
            metrics=self.metrics,
            saved=start or None,
            changes=(before.changes if before else []) + dated,
            **NOT_ENDED,
        )

    def _has_ended(self, info: RunInfo, start: int) -> bool:
        return info.status == "finished" and (start >= self.parts.loop.steps or info.stopped_early)

    def _train(
        self,
        directory: Directory,
        checkpoints: Checkpoints,
        start: int,
        progress: Callable[..., Writer],
        stop: Callable[[], bool] | None,
    ) -> float | None:
        scenario, dataset, loop, _ = self.parts
        rows = dataset.train.size
        writers = [
            *file_writers(directory.path, dict(leaves(self.config)), start, abilities.weights(scenario)),
            progress(loop.steps, start, rows and rows / dataset.train.batch_size),
        ]
        with ExitStack() as closing:
            for writer in reversed(writers):  # each is closed, also if another one fails to
                closing.callback(writer.close)
            loop.train(
                self.prepared,
                checkpoints=checkpoints,
                writers=writers,
                warm_start=self.warm_start,
                stop=stop,
            )
            last = max(checkpoints.steps)
            for writer in writers:
                writer.write(
                    last, {}, {"curves": lambda: figures.curves(directory.records, self.prepared.metrics)}
                )
        best = _best(directory.rows(), loop.best, self.prepared.mode)
        directory.update_info(step=last, best=best, stopped_early=last < loop.steps)
        log.info("finished at step %d%s: %s", last, _best_text(best), directory.path)
        return best["value"]

    def _announce(self, path: Path, start: int, changes: list[str]) -> None:
        for change in changes:
            log.warning("%s", escaped(change))
        if not getattr(self.parts.dataset.train, "exact", True):
            log.warning(
                "warning: dataset: a run on this stream cannot be resumed exactly, because the stream can only start at"
                " its first batch; see the section on pipelines in docs/data.md"
            )
        device = jax.devices()[0]
        log.info(
            "%s on %s (%s), seed %d, in %s",
            f"resuming from step {start}" if start else "training",
            device.platform,
            device.device_kind,
            self.config["seed"],
            path,
        )
        log.info("%s", parameter_table(self.prepared.template))


def _start(info: RunInfo | None, checkpoints: Checkpoints) -> int:
    """Returns the newest complete step, or 0; logs a warning if a newer step of the run info is missing."""
    start, saved = checkpoints.newest() or 0, (info and info.saved) or 0
    if start < saved and not (gone := checkpoints.directory / str(saved)).exists():
        if not start:
            raise Unreadable(f"{gone}: was saved, and is gone; bring it back, or take another run directory")
        log.warning("%s: was saved, and is gone; going back to step %d", gone, start)
    return start


def _best(records: Iterable[dict], best: str | None, mode: str | None) -> dict:
    if best is None or mode is None:
        return NO_BEST
    metric = f"validation/{best}"
    own = [
        row for row in records if row["step"]
    ]  # step 0 is the evaluation of a warm start, of another run's values
    values = [(row["step"], row[metric]) for row in own if isinstance(row.get(metric), float)]
    step, value = best_of(values, mode) or (None, None)
    return {"metric": metric, "value": value, "step": step}


def _best_text(best: Mapping) -> str:
    return (
        "" if best["value"] is None else f", best {best['metric']} {best['value']:.4g} at step {best['step']}"
    )


class _LogFile(logging.FileHandler):
    def _open(self) -> TextIO:
        return io.TextIOWrapper(append(Path(self.baseFilename)), encoding="utf-8", errors="backslashreplace")


@contextmanager
def _logging_to(path: Path):
    handler = _LogFile(path)
    handler.setFormatter(EscapingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.handleError = lambda record: None  # a full disk does not print a traceback for each line
    current = threading.current_thread()
    if current is not threading.main_thread():  # one of several runs, each in a thread
        handler.addFilter(lambda record: record.thread == current.ident)
    loggers = [logging.getLogger(), log] if not log.propagate else [logging.getLogger()]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
