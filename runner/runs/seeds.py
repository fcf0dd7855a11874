"""One command, many seeds: each member is exactly the run of its own seed, and the job tells their spread."""

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.compose.tree import leaves
from runner.runs.parallel import Prepared, run_members
from runner.runs.spread import Spread, spread_of
from runner.runs.training import Training
from runner.storage.lock import Lock
from runner.storage.run_directory import Directory
from runner.writers import figures, file_writers

log = logging.getLogger("runner")


def prepared(config: Mapping, known: dict | None = None) -> "Training | Seeds":
    """Builds the run that a configuration asks for, or those of its several seeds."""
    return Training(config, known) if config["seeds"] is None else Seeds(config, known)


class Seeds:
    """The runs of seeds `seed`, `seed + 1`, ..., in one run directory: member `i` under `members/<i>/`.

    Args:
        config: resolved and checked; its `seeds` says how many.
        known: datasets of other runs, which these share, by their configurations.

    Raises:
        ValueError: a setting or the data is refused.
    """

    def __init__(self, config: Mapping, known: dict | None = None):
        self.config, self._known = config, {} if known is None else known
        self._seeds = range(config["seed"], config["seed"] + config["seeds"])
        self._first = self._member(0)

    def _member(self, number: int) -> Training:
        return Training({**self.config, "seeds": None, "seed": self._seeds[number]}, self._known)

    def refuse_directory(self, path: str | Path) -> None:
        """Raises Occupied where the directory cannot be this job's; writes nothing."""
        Directory(path).claim(self.config)

    def run(self, directory: str | Path, stop: Callable[[], bool] = lambda: False) -> float | None:
        """Trains what is missing of each member, and writes their spread as the job's own record.

        Args:
            directory: made if it is not there.
            stop: returns whether to save and stop.

        Returns:
            The mean of the members' best values of the metric that `loop.best` names, or None.

        Raises:
            Busy: another process trains in the directory.
            Occupied: the directory is not this job's.
            Exception: the first of what members failed with; the others ran to their ends.
        """
        own = Directory(directory)
        own.claim(self.config)
        places = [own.path / "members" / str(number) for number in range(len(self._seeds))]
        build = lambda number: Prepared(self._member(number) if number else self._first, places[number])
        with Lock(own.path):
            own.begin(self.config, seed=self.config["seed"], step=None)
            with own.recording_the_end():
                outcomes = run_members([f"seed={seed}" for seed in self._seeds], build, stop)
                return self._conclude(own, places, outcomes)

    def _conclude(self, own: Directory, places: Sequence[Path], outcomes: Sequence[Any]) -> float | None:
        finished = [
            Directory(place) for place, outcome in zip(places, outcomes, strict=True) if not outcome.error
        ]
        records = list(spread([each.records for each in finished]))
        draw = {"spread": lambda: figures.spread(records)}
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
            numbers = [last[f"{name}/{of}"] for of in Spread._fields]
            log.info("  %s %.4g ± %.2g (%.4g to %.4g)", name, *numbers)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        values = [outcome.value for outcome in outcomes if outcome.value is not None]
        return float(np.mean(values)) if values else None


def spread(records: Sequence[Sequence[Mapping]]) -> Iterator[dict[str, Any]]:
    """Gives, for each step that all members have a record of, each metric's mean, deviation, minimum and maximum.

    Args:
        records: of each member, `{"step": ..., name: value}`. What is no number is left out.

    Yields:
        `{"step": ..., "name/mean": ..., "name/std": ..., "name/min": ..., "name/max": ...}`; the deviation is that
        of a sample, divided by one less than the members, and 0 of a single one.
    """
    tables = [{row["step"]: row for row in rows} for rows in records]
    for step in tables[0] if tables else ():
        rows = [table.get(step, {}) for table in tables]
        record: dict[str, Any] = {"step": step}
        for name in functools.reduce(
            lambda kept, row: [each for each in kept if each in row], rows, list(rows[0])
        ):
            values = [row[name] for row in rows]
            if name != "step" and all(isinstance(value, int | float) for value in values):
                record |= {f"{name}/{of}": number for of, number in spread_of(values)._asdict().items()}
        yield record
