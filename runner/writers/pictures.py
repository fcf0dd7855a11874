"""Figures as picture files."""

import logging
from pathlib import Path

from runner.figures import png
from runner.types import Figures, Metrics
from runner.writers.files import replace

log = logging.getLogger(__name__)


class Pictures:
    """Writes each figure to `figures/<name>.png`, the latest over the one before.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: str | Path):
        self._directory = Path(directory) / "figures"

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Replaces the pictures that are given; a figure that fails is told of, and the run goes on."""
        for name, draw in figures.items():
            path = self._directory / f"{name}.png"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace(path, png(draw))
            except Exception as error:  # whatever a drawing may raise
                log.warning("the figure %s of step %d was not written: %s", name, step, error)

    def close(self) -> None:
        """Has nothing to end."""
