"""Writers of records: to files, to TensorBoard and to the terminal."""

from collections.abc import Mapping
from pathlib import Path

from runner.core import Writer
from runner.writers.json_lines import JsonLines, refuse_damaged
from runner.writers.parameters import parameter_table
from runner.writers.pictures import Pictures
from runner.writers.progress import Progress
from runner.writers.tensorboard import TensorBoard

__all__ = [
    "JsonLines",
    "Pictures",
    "Progress",
    "TensorBoard",
    "Writer",
    "file_writers",
    "parameter_table",
    "refuse_damaged",
]


def file_writers(
    directory: Path, settings: Mapping[str, object], start: int = 0, weights: str | None = None
) -> list[Writer]:
    """Returns the writers of all records and figures in a run directory.

    Args:
        directory: the run directory.
        settings: the settings of the run, by their dotted keys; figures are drawn only if `figures` is true.
        start: the step from which the run resumes.
        weights: "raw" or "average", the parameters that are evaluated; None is not recorded.
    """
    tensorboard = TensorBoard(directory, start, settings)
    pictures = [Pictures(directory, tensorboard.image)] if settings["figures"] else []
    return [*pictures, JsonLines(directory, start, weights), tensorboard]
