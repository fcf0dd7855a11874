"""Figures as pictures."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.core import Figures, Metrics
from runner.process.files import replace
from runner.writers.figures import png

log = logging.getLogger(__name__)


class Pictures:
    """Writes each figure to `figures/<name>.png`, the latest over the one before; a thread of its own draws.

    Args:
        directory: of the run.
        show: is given (step, name, png) of each as well.
    """

    def __init__(self, directory: str | Path, show: Callable[[int, str, bytes], None] | None = None):
        self._directory, self._show = Path(directory) / "figures", show
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Has the figures drawn; one that fails is told of, and the run goes on."""
        for name, draw in figures.items():
            self._drawing.submit(self._write, step, name, draw)

    def close(self) -> None:
        """Waits for the last picture."""
        self._drawing.shutdown()

    def _write(self, step: int, name: str, draw: Callable) -> None:
        try:
            picture = png(draw)
            self._directory.mkdir(parents=True, exist_ok=True)
            replace(self._directory / f"{name}.png", picture)
            if self._show is not None:
                self._show(step, name, picture)
        except Exception as error:  # whatever a drawing may raise
            log.warning("the figure %s of step %d was not written: %s", name, step, error)
