"""The record of a run: means over log intervals, made on the host from the tables of the compiled stretches."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from runner.core import Mean, Metrics
from runner.errors import NotFinite


class Record:
    """Gathers one row of metrics a step and gives their means at the end of each log interval.

    Args:
        every: steps in a log interval.
        rows: the rows of the interval left open by the run that is resumed, as `rows` gave them.
    """

    def __init__(self, every: int, rows: dict[str, list] | None = None):
        self.every = every
        self._rows = {name: [np.asarray(values, np.float32)] for name, values in (rows or {}).items()}

    @property
    def rows(self) -> dict[str, list]:
        """The rows of the open interval, for a checkpoint: exact as JSON numbers."""
        return {name: np.concatenate(parts).astype(float).tolist() for name, parts in self._rows.items()}

    def add(self, step: int, table: Metrics) -> Iterator[tuple[int, Metrics]]:
        """Takes the rows of steps `step, step + 1, ...`; gives (steps made, means) for each interval they end.

        Raises:
            NotFinite: a metric named `loss` or ending in `_loss` is not finite at one of these steps.
        """
        columns = dict(_columns(table))
        _refuse_losses(step, columns)
        length, taken = len(next(iter(columns.values()), ())), 0
        while taken < length:
            end = min(length, taken + self.every - (step + taken) % self.every)
            for name, column in columns.items():
                self._rows.setdefault(name, []).append(column[taken:end])
            taken = end
            if (step + taken) % self.every == 0:
                yield step + taken, self._means()
                self._rows = {}

    def _means(self) -> Metrics:
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


def _refuse_losses(step: int, columns: dict[str, Any]) -> None:
    losses = {name: values for name, values in columns.items() if name == "loss" or name.endswith("_loss")}
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in losses.items()}
    first = min(((places[0], name) for name, places in bad.items() if len(places)), default=None)
    if first is not None:
        place, name = first
        raise NotFinite(step + place + 1, f"{name} is {losses[name][place]} at step {step + place + 1}")
