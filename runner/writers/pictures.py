"""Figures as image files."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.core import Figures, Metrics
from runner.process.files import make_folder, replace
from runner.writers.figures import png

log = logging.getLogger(__name__)


class Pictures:
    """Writes each figure to `figures/<name>.png`, where it replaces the previous one; a separate thread draws.

    Args:
        directory: the run directory.
        show: `show(step, name, png)`, which is also called for each figure, or None.
    """

    def __init__(self, directory: str | Path, show: Callable[[int, str, bytes], None] | None = None):
        self._directory, self._show = Path(directory) / "figures", show
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Queues the figures to be drawn; one that fails is logged, and the run continues."""
        for name, draw in figures.items():
            self._drawing.submit(self._write, step, name, draw)

    def close(self) -> None:
        """Waits until the last figure is written."""
        self._drawing.shutdown()

    def _write(self, step: int, name: str, draw: Callable) -> None:
        try:
            picture = png(draw)
            make_folder(self._directory)
            replace(self._directory / f"{name}.png", picture)
            if self._show is not None:
                self._show(step, name, picture)
        except Exception as error:  # a drawing may raise any error
            log.warning("the figure %s of step %d was not written: %s", name, step, error)
