"""The record as TensorBoard shows it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.figures import png
from runner.types import Figures, Metrics

log = logging.getLogger(__name__)


class TensorBoard:
    """Writes `tensorboard/`: numbers under the record's own names, figures as images.

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
        """Adds the numbers and pictures of one step; a figure that fails is told of, and the run goes on."""
        if metrics:
            self._events.scalars(step, metrics)
        for name, draw in figures.items():
            try:
                picture = png(draw)
            except Exception as error:  # whatever a drawing may raise
                log.warning("the figure %s of step %d is not in TensorBoard: %s", name, step, error)
            else:
                self._events.image(step, name, picture)

    def close(self) -> None:
        """Closes the event file."""
        self._events.close()
