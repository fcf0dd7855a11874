"""Means over log intervals, computed on the host from the metrics of the compiled chunks."""

from collections.abc import Iterator

import numpy as np

from runner.core import Mean, Metrics
from runner.errors import NotFinite


class Record:
    """Collects one row of metrics per step, and computes their means at the end of each log interval.

    Args:
        every: steps in a log interval.
        rows: the rows of the open interval of the run that is resumed, as returned by `rows`.
    """

    def __init__(self, every: int, rows: dict[str, list] | None = None):
        self.every = every
        self._rows = {name: [np.asarray(values, np.float32)] for name, values in (rows or {}).items()}

    @property
    def rows(self) -> dict[str, list]:
        """The rows of the open interval, for a checkpoint: exact as JSON numbers."""
        return {name: np.concatenate(parts).astype(float).tolist() for name, parts in self._rows.items()}

    def add(self, step: int, table: Metrics) -> Iterator[tuple[int, Metrics]]:
        """Adds the rows of steps `step, step + 1, ...`; yields (steps done, means) for each interval that they end.

        Raises:
            NotFinite: a metric named `loss` or ending in `_loss` is not finite at one of these steps.
        """
        columns = dict(_columns(table))
        _check_losses(step, columns)
        length, added = len(next(iter(columns.values()), ())), 0
        while added < length:
            end = min(length, added + self.every - (step + added) % self.every)
            for name, column in columns.items():
                self._rows.setdefault(name, []).append(column[added:end])
            added = end
            if (step + added) % self.every == 0:
                yield step + added, self.means()
                self._rows = {}

    def means(self) -> Metrics:
        """Returns the means over the open interval so far, which has no rows right after its end."""
        rows = {name: np.concatenate(parts) for name, parts in self._rows.items()}
        means = {}
        for name, values in rows.items():
            count = rows.get(f"{name}/count")
            if count is not None:
                if count.sum():
                    means[name] = float(values.sum(dtype=np.float64) / count.sum(dtype=np.float64))
            elif name.removesuffix("/count") not in rows or not name.endswith("/count"):
                means[name] = float(values.mean(dtype=np.float64))
        return means


def _columns(table: Metrics) -> Iterator[tuple[str, np.ndarray]]:
    for name, values in table.items():
        if isinstance(values, Mean):
            yield name, np.asarray(values.total, np.float32)
            yield f"{name}/count", np.asarray(values.count, np.float32)
        else:
            yield name, np.asarray(values, np.float32)


def _check_losses(step: int, columns: dict[str, np.ndarray]) -> None:
    losses = {name: values for name, values in columns.items() if name == "loss" or name.endswith("_loss")}
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in losses.items()}
    first = min(((indices[0], name) for name, indices in bad.items() if len(indices)), default=None)
    if first is not None:
        index, name = first
        raise NotFinite(step + index + 1, f"{name} is {losses[name][index]} at step {step + index + 1}")
