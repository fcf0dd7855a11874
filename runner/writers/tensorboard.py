"""The record as TensorBoard shows it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.core import Figures, Metrics


class TensorBoard:
    """Writes `tensorboard/`: numbers under the record's own names, and pictures.

    Args:
        directory: of the run.
        start: the step that the run goes on from; what was shown of later ones is withdrawn. 0 begins afresh.
        hyperparameters: name -> number or text (anything else is shown as text), to compare runs by.
    """

    def __init__(
        self, directory: str | Path, start: int = 0, hyperparameters: Mapping[str, Any] | None = None
    ):
        from runner.writers.events import Events  # imports tensorboardX

        self._events = Events(Path(directory) / "tensorboard", start)
        if hyperparameters:
            self._events.hyperparameters(start, hyperparameters)

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Adds the numbers of one step; pictures come by `image`."""
        if metrics:
            self._events.scalars(step, metrics)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Adds a picture."""
        self._events.image(step, name, png)

    def close(self) -> None:
        """Closes the event file; whether the run succeeded is told by the exception that ends it, if one does."""
        self._events.close(succeeded=sys.exception() is None)
