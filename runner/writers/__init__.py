"""Where records go: to files, to TensorBoard, to the terminal."""

from typing import Protocol

from runner.types import Figures, Metrics
from runner.writers.json_lines import JsonLines
from runner.writers.parameters import parameter_table
from runner.writers.pictures import Pictures
from runner.writers.progress import Progress
from runner.writers.tensorboard import TensorBoard

__all__ = ["JsonLines", "Pictures", "Progress", "TensorBoard", "Writer", "parameter_table"]


class Writer(Protocol):
    """Takes what a run has to tell; the way to extend a run."""

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Takes what is due after `step` steps: both are empty where nothing is."""
        ...

    def close(self) -> None:
        """Ends the writing; called once, however the run ends."""
        ...
