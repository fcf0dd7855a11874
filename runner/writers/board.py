"""The progress of several parallel runs, on the terminal."""

import functools
import sys
import threading
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runner.core import Figures, Metrics
from runner.process.terminal import say

SHOWN = 4  # metrics of a record that fit in a line


class Board:
    """Shows a table of the unfinished runs if standard error is a terminal, and prints a line when a run ends.

    Args:
        total: the number of runs.
    """

    def __init__(self, total: int):
        self._total, self._ended, self._rows = total, 0, {}
        self._lock = threading.Lock()
        console = Console(stderr=True)
        self._live = Live(
            console=console, get_renderable=self._table, transient=True, redirect_stdout=sys.stdout.isatty()
        )
        self._is_shown = console.is_interactive

    def __enter__(self) -> "Board":
        if self._is_shown:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_shown:
            self._live.stop()

    def progress(self, name: str) -> "Callable[..., Row]":
        """Returns a function that creates the writer of one run, from the arguments of `Progress`."""
        return functools.partial(Row, self._rows, name)

    def ended(self, name: str, line: str) -> None:
        """Prints the line of a run that has ended."""
        with self._lock:
            self._ended += 1
            say(f"{self._ended}/{self._total}  {name}  {line}")

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, title_justify="left")
        table.title = f"{self._ended} of {self._total} runs ended"
        for head in ("run", "step", "of", "last record"):
            table.add_column(head, no_wrap=True)
        for name, (step, steps, record) in list(self._rows.items()):
            table.add_row(Text(name), str(step), str(steps), Text(record, overflow="ellipsis"))
        return table


class Row:
    """Writes the progress of one run into the table."""

    def __init__(
        self, rows: dict, name: str, steps: int, start: int = 0, steps_per_epoch: float | None = None
    ):
        self._rows, self._name, self._steps = rows, name, steps
        rows[name] = start, steps, ""

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Updates the step, and the record if there is one."""
        record = "  ".join(f"{name} {value:.4g}" for name, value in list(metrics.items())[:SHOWN])
        self._rows[self._name] = step, self._steps, record or self._rows[self._name][2]

    def close(self) -> None:
        """Removes the run from the table."""
        self._rows.pop(self._name, None)
