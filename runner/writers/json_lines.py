"""The record of a run, one line of JSON each."""

import datetime
import json
import math
import time
from pathlib import Path
from typing import Any, BinaryIO

from runner.core import Figures, Metrics
from runner.process.files import replace


class JsonLines:
    """Writes `metrics.jsonl`: `{"step": ..., name: value, ...}`, names sorted, the same bytes for equal runs.

    JSON has no numbers that are not finite; they are the texts "NaN", "Infinity" and "-Infinity", which
    `float` reads. When a record was made stands apart, in `timing.jsonl`: seconds since this writer
    began, and the time.

    Args:
        directory: of the run.
        start: the step that the run goes on from; later records and a torn last line are cut away. 0 begins
            afresh.
        weights: which of the state's weights validation judges, "raw" or "average", which is told beside its
            numbers; None is not told.

    Raises:
        ValueError: a file to go on with holds a line that is no record.
    """

    def __init__(self, directory: str | Path, start: int = 0, weights: str | None = None):
        directory, self._weights = Path(directory), weights
        directory.mkdir(parents=True, exist_ok=True)
        self._metrics = _open(directory / "metrics.jsonl", start)
        self._timing = _open(directory / "timing.jsonl", start)
        self._began = time.monotonic()

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Adds one record; it is the system's before this returns, so a kill cannot take it."""
        if metrics:
            values = {name: _strict(metrics[name]) for name in sorted(metrics)}
            if self._weights and any(name.startswith("validation/") for name in values):
                values["validation/weights"] = self._weights
            _append(self._metrics, {"step": step, **values})
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            _append(
                self._timing, {"step": step, "seconds": round(time.monotonic() - self._began, 3), "time": now}
            )

    def close(self) -> None:
        """Closes both files."""
        self._metrics.close()
        self._timing.close()


def _open(path: Path, start: int) -> BinaryIO:
    if start and path.exists():
        replace(path, _kept(path, start))
    return open(path, "ab" if start else "wb", buffering=0)


def _kept(path: Path, start: int) -> bytes:
    *lines, _ = path.read_bytes().split(b"\n")  # what follows the last line end is empty or torn
    kept = []
    for number, line in enumerate(lines, 1):
        try:
            step = json.loads(line)["step"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path}: line {number} is no record; repair or remove the file to go on"
            ) from None
        if step <= start:
            kept.append(line + b"\n")
    return b"".join(kept)


def _append(file: BinaryIO, record: dict[str, Any]) -> None:
    file.write(json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n")


def _strict(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
