"""The records of a run, one line of JSON each."""

import datetime
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from runner.core import Figures, Metrics
from runner.process import held
from runner.process.files import append, create, drafts, make_folder, naming, read_lines, replace_by_parts

NAMES = "metrics.jsonl", "timing.jsonl"


class JsonLines:
    """Writes `metrics.jsonl`: `{"step": ..., name: value, ...}`, sorted by name, with the same bytes for equal runs.

    JSON has only finite numbers; all others are written as the strings "NaN", "Infinity" and "-Infinity", which
    `float` reads. The time of each record is in a separate file, `timing.jsonl`: the seconds since this writer was
    created, and the date and time.

    Args:
        directory: the run directory.
        start: the step from which the run resumes; later records and an incomplete last line are removed. 0 starts new
            files.
        weights: the weights that validation evaluates, "raw" or "average", which is written next to its metrics; None
            is not written.

    Raises:
        ValueError: a file to be continued has a line that is not a record.
    """

    def __init__(self, directory: str | Path, start: int = 0, weights: str | None = None):
        self._directory, self._weights = Path(directory), weights
        make_folder(self._directory)
        self._metrics, self._timing = (_open(self._directory / name, start) for name in NAMES)
        self._created = time.monotonic()

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Adds one record, and passes it to the operating system at once, so that it survives a killed process."""
        if metrics:
            held.refuse_gone(self._directory)
            values = {name: _strict(metrics[name]) for name in sorted(metrics)}
            if self._weights and any(name.startswith("validation/") for name in values):
                values["validation/weights"] = self._weights
            metrics_path, timing_path = (self._directory / name for name in NAMES)
            _append(metrics_path, self._metrics, {"step": step, **values})
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            seconds = round(time.monotonic() - self._created, 3)
            _append(timing_path, self._timing, {"step": step, "seconds": seconds, "time": now})

    def close(self) -> None:
        """Closes both files."""
        self._metrics.close()
        self._timing.close()


def refuse_damaged(directory: str | Path) -> None:
    """Checks the files of a run that is to be continued; writes nothing.

    Raises:
        ValueError: a file has a line that is not a record.
    """
    for name in NAMES:
        if (path := Path(directory) / name).exists():
            for _ in _kept(path, 0):
                pass


def _open(path: Path, start: int) -> BinaryIO:
    if not start:
        return create(path, buffering=0)
    for draft in drafts(path):
        draft.unlink(missing_ok=True)
    if path.exists():
        replace_by_parts(path, _kept(path, start))
    return append(path, buffering=0)


def _kept(path: Path, start: int) -> Iterator[bytes]:
    """Yields the complete lines up to a step."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            step = json.loads(line)["step"]
            is_kept = step <= start
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValueError(
                f"{path}: line {number} is not a record; repair or remove the file to continue"
            ) from None
        if is_kept:
            yield line + b"\n"


def _append(path: Path, file: BinaryIO, record: dict[str, object]) -> None:
    with naming(path):
        file.write(json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n")


def _strict(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
