"""The progress of a run, on the terminal."""

import logging
import sys
import time

from rich.columns import Columns
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from runner.core import Figures, Metrics
from runner.process.terminal import say


class Progress:
    """Shows a progress bar if standard error is a terminal, and prints a line for each record otherwise.

    The bar goes to standard error, the lines to standard output. If only standard output is redirected, both are
    written.

    Args:
        steps: the number of steps of the whole run.
        start: the step from which the run resumes.
        steps_per_epoch: the number of steps in an epoch, to show the epoch, or None if it is not known.
    """

    def __init__(self, steps: int, start: int = 0, steps_per_epoch: float | None = None):
        self._steps, self._steps_per_epoch = steps, steps_per_epoch
        self._first: tuple[int, float] | None = None  # from the end of the first chunk, which compiles
        console = Console(stderr=True)
        self._bar = _Bar(console, steps, start) if console.is_interactive else None
        self._prints = self._bar is None or not sys.stdout.isatty()

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Moves the bar, and prints the line of a record."""
        self._first = self._first or (step, time.monotonic())
        epoch = "" if self._steps_per_epoch is None else f"epoch {step / self._steps_per_epoch:.1f}"
        metrics = {name: value for name, value in metrics.items() if not _is_members(name, metrics)}
        values = [f"{name} {value:.4g}" for name, value in metrics.items()]
        if self._bar is not None:
            self._bar.move(step, epoch, dict(zip(metrics, values, strict=True)))
        if metrics and self._prints:
            seconds = time.monotonic() - self._first[1]
            speed = [_speed((step - self._first[0]) / seconds)] if step > self._first[0] and seconds else []
            parts = [f"step {step}/{self._steps}", epoch, *values, *speed]
            say("  ".join(part for part in parts if part))

    def close(self) -> None:
        """Stops the bar, which stays visible."""
        if self._bar is not None:
            self._bar.close()


def _is_members(name: str, metrics: Metrics) -> bool:
    """Returns whether a metric belongs to one member of an ensemble, and the line has that of the whole ensemble."""
    whole, _, member = name.rpartition("/")
    return member.isdigit() and whole in metrics


class _Bar(Bars):
    def __init__(self, console: Console, steps: int, start: int):
        self._values: dict[str, str] = {}
        super().__init__(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[epoch]}"),
            _SpeedColumn(""),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self.add_task("", total=steps, completed=start, epoch="")
        streams = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]
        self.start()
        # Log lines go through the bar too, otherwise they would be written into it.
        handlers = [
            handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)
        ]
        self._moved = [(handler, handler.stream) for handler in handlers if handler.stream in streams]
        for handler, _ in self._moved:
            handler.setStream(sys.stderr)

    def move(self, step: int, epoch: str, values: dict[str, str]) -> None:
        self._values = self._values | values  # the last value of each metric, also of validation
        self.update(self._task, completed=step, epoch=epoch)

    def get_renderables(self):
        yield self.make_tasks_table(self.tasks)
        yield Columns([Text(value) for value in self._values.values()], padding=(0, 2))

    def close(self) -> None:
        self.stop()
        for handler, stream in self._moved:
            handler.setStream(stream)


class _SpeedColumn(TextColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _speed(speed))


def _speed(speed: float) -> str:
    return f"{speed:.0f} steps/s" if speed >= 10 else f"{speed:.2g} steps/s"
