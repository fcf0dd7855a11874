"""The records of a run for TensorBoard."""

import sys
from collections.abc import Mapping
from pathlib import Path

from runner.core import Figures, Metrics


class TensorBoard:
    """Writes `tensorboard/`: the metrics, under the names of the records, and the figures.

    Args:
        directory: the run directory.
        start: the step from which the run resumes; TensorBoard drops the events of later steps. 0 starts a new record.
        hyperparameters: name -> number or text (anything else is shown as text), by which runs can be compared.
    """

    def __init__(
        self, directory: str | Path, start: int = 0, hyperparameters: Mapping[str, object] | None = None
    ):
        from runner.writers.events import Events  # imports tensorboardX

        self._events = Events(Path(directory) / "tensorboard", start)
        if hyperparameters:
            self._events.hyperparameters(start, hyperparameters)

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Adds the metrics of one step; figures are added by `image`."""
        if metrics:
            self._events.scalars(step, metrics)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Adds a figure, encoded as PNG."""
        self._events.image(step, name, png)

    def close(self) -> None:
        """Closes the event file; the run has failed if this is called while an exception ends it."""
        self._events.close(succeeded=sys.exception() is None)
