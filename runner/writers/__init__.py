"""Where records go: to files, to TensorBoard, to the terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from runner.core import Figures, Metrics
from runner.writers.json_lines import JsonLines
from runner.writers.parameters import parameter_table
from runner.writers.pictures import Pictures
from runner.writers.progress import Progress
from runner.writers.tensorboard import TensorBoard

__all__ = ["JsonLines", "Pictures", "Progress", "TensorBoard", "Writer", "file_writers", "parameter_table"]


class Writer(Protocol):
    """Takes what a run has to tell; the way to extend a run."""

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Takes what is due after `step` steps: both are empty where nothing is."""
        ...

    def close(self) -> None:
        """Ends the writing; called once, however the run ends."""
        ...


def file_writers(
    directory: Path, settings: Mapping[str, Any], start: int = 0, weights: str | None = None
) -> list[Writer]:
    """Returns the writers of everything that a run leaves in its directory.

    Args:
        directory: of the run.
        settings: of the run, by their dotted keys; without `figures` no pictures are drawn.
        start: step from which the run goes on.
        weights: "raw" or "average": which parameters are evaluated; None is not recorded.
    """
    tensorboard = TensorBoard(directory, start, settings)
    pictures = [Pictures(directory, tensorboard.image)] if settings["figures"] else []
    return [*pictures, JsonLines(directory, start, weights), tensorboard]
