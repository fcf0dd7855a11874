"""One command with many seeds: each member equals the run of its seed, and the job records their spread."""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.compose.tree import leaves
from runner.compose.trust import refuse_links
from runner.errors import runs_failed
from runner.runs.parallel import Prepared, run_members
from runner.runs.spread import Spread, spread_of
from runner.runs.training import Training
from runner.storage.lock import Lock
from runner.storage.run_directory import Directory
from runner.writers import figures, file_writers

log = logging.getLogger("runner")


def prepared(config: Mapping, known: dict | None = None, saved: bool = False) -> "Training | Seeds":
    """Builds the run of a configuration, or its runs if `seeds` is set; arguments are those of `Training`."""
    return (Training if config["seeds"] is None else Seeds)(config, known, saved)


def first_built(
    jobs: Sequence[tuple[dict, Path]], known: dict
) -> "list[tuple[dict, Path, Training | Seeds]]":
    """Builds the first of several jobs that can be built and can begin, or go on, in its directory; writes nothing.

    Args:
        jobs: the configuration and the directory of each.
        known: as in `Training`.

    Returns:
        Its configuration, its directory and its run, or an empty list if there are no jobs.

    Raises:
        Exception: none can; the error of the first one.
    """
    errors = []
    for config, path in jobs:
        try:
            refuse_links(path)
            directory = Directory(path)
            job = prepared(config, known, directory.is_run)
            job.refuse_to_continue(directory)
            return [(config, path, job)]
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return []


class Seeds:
    """The runs of seeds `seed`, `seed + 1`, ..., in one run directory: member `i` under `members/<i>/`.

    Args:
        config: resolved and checked; its `seeds` is the number of members.
        known: datasets of other runs, by their configurations, which these runs share.
        saved: as in `Training`.

    Raises:
        ValueError: a part rejects a setting or the data.
    """

    def __init__(self, config: Mapping, known: dict | None = None, saved: bool = False):
        self.config, self._known, self._saved = config, {} if known is None else known, saved
        self._seeds = range(config["seed"], config["seed"] + config["seeds"])
        self._first = self._member(0)
        self.config = {**config, "loop": self._first.config["loop"]}

    def _member(self, number: int) -> Training:
        return Training({**self.config, "seeds": None, "seed": self._seeds[number]}, self._known, self._saved)

    def refuse_directory(self, path: str | Path) -> None:
        """Raises Occupied if this job cannot use the directory, or ValueError if it cannot begin in it."""
        own = Directory(path)
        own.claim(self.config)
        if not own.is_run:
            self._first.refuse_to_begin()

    def run(self, directory: str | Path, stop: Callable[[], bool] = lambda: False) -> float | None:
        """Trains each member to its end, from its newest checkpoint, and writes their spread as the record of the job.

        Args:
            directory: created if it does not exist.
            stop: returns whether to save and stop.

        Returns:
            The mean of the members' best values of the metric that `loop.best` names, or None.

        Raises:
            Busy: another process trains in the directory.
            Occupied: the directory belongs to another configuration.
            Unreadable, Misfit, ValueError: a member cannot be continued; nothing is written.
            RunnerError: some members failed; the others are trained to their ends. Its cause is the first error.
        """
        own = Directory(directory)
        own.claim(self.config)
        paths = [own.path / "members" / str(number) for number in range(len(self._seeds))]
        build = lambda number: Prepared(self._member(number) if number else self._first, paths[number])
        with Lock(own.path):
            self.refuse_to_continue(own)
            own.begin(
                self.config,
                seed=self.config["seed"],
                step=None,
                metrics=self._first.metrics,
                folder=str(Path.cwd()),
            )
            outcomes = []
            try:
                with own.recording_the_end():
                    outcomes += run_members([f"seed={seed}" for seed in self._seeds], build, stop)
                    return self._conclude(own, paths, outcomes)
            except Exception as error:
                errors = [outcome.error for outcome in outcomes if outcome.error is not None]
                if error in errors:
                    raise runs_failed(len(errors), len(outcomes), error) from error
                raise

    def refuse_to_continue(self, directory: Directory) -> None:
        """Raises the error of the first member that cannot be continued; all have the parts of the first one."""
        directory.claim(self.config)
        origin = self._first.origin()
        for number, seed in enumerate(self._seeds):
            member = copy.copy(self._first)
            member.config = {**member.config, "seed": seed}
            own = Directory(directory.path / "members" / str(number))
            member.refuse_to_continue(own, origin)
            for _ in own.rows():  # also of a member that has ended: they are summarized with the others
                pass

    def _conclude(self, own: Directory, paths: Sequence[Path], outcomes: Sequence[Any]) -> float | None:
        finished = [
            Directory(path) for path, outcome in zip(paths, outcomes, strict=True) if not outcome.error
        ]
        records = list(spread([each.records for each in finished]))
        draw = {"spread": lambda: figures.spread(records, self._first.prepared.metrics)}
        writers = file_writers(own.path, dict(leaves(self.config)))
        for writer in writers:
            for record in records:
                metrics = {name: value for name, value in record.items() if name != "step"}
                writer.write(record["step"], metrics, draw if record is records[-1] else {})
            writer.close()
        last = records[-1] if records else {"step": 0}
        own.update_info(step=last["step"])
        log.info("%d of %d seeds finished at step %d", len(finished), len(outcomes), last["step"])
        for name in dict.fromkeys(key.rpartition("/")[0] for key in last if key != "step"):
            statistics = [last[f"{name}/{field}"] for field in Spread._fields]
            log.info("  %s %.4g ± %.2g (%.4g to %.4g)", name, *statistics)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        values = [outcome.value for outcome in outcomes if outcome.value is not None]
        return float(np.mean(values)) if values else None


def spread(records: Sequence[Sequence[Mapping]]) -> Iterator[dict[str, Any]]:
    """Yields mean, deviation, minimum and maximum of each metric, for each step of which all members have a record.

    Args:
        records: the records of each member, `{"step": ..., name: value}`. Values that are not numbers are ignored.

    Yields:
        `{"step": ..., "name/mean": ..., "name/std": ..., "name/min": ..., "name/max": ...}`; the deviation
        divides by the number of members minus one, and is 0 for a single member.
    """
    tables = [{row["step"]: row for row in rows} for rows in records]
    for step in tables[0] if tables else ():
        rows = [table.get(step, {}) for table in tables]
        record: dict[str, Any] = {"step": step}
        for name in [name for name in rows[0] if all(name in row for row in rows)]:
            values = [row[name] for row in rows]
            if name != "step" and all(isinstance(value, int | float) for value in values):
                record |= {f"{name}/{field}": value for field, value in spread_of(values)._asdict().items()}
        yield record
