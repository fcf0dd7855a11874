"""The results of a sweep: its runs side by side, as a table and as a self-contained page."""

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.compose.trust import refuse_linked
from runner.errors import describe
from runner.loop.best import MODES, best_of, rank
from runner.process.files import replace_all
from runner.process.spreadsheets import csv_of
from runner.process.terminal import escaped, table
from runner.runs.described import Curve, Described, differing, name_choices, ordered
from runner.storage.run_directory import Directory
from runner.storage.run_info import UNREADABLE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from runner.runs.spread import Spread

PAGE = Path(__file__).with_name("comparison.html")
SHOWN = 12  # settings in the table for a terminal; the files have all
POINTS = 300  # the maximum for a curve on the page

Cell = str | int | float | None


class Row(NamedTuple):
    """One run of a comparison.

    Attributes:
        place: the path of its directory, relative to the folder.
        settings: the settings in which the runs differ and that this run has.
        step: the last recorded step.
        best: the best value of the metric; None if it was never finite.
        last: the last recorded value of the metric.
        curves: every metric over the steps.
    """

    place: str
    settings: dict[str, object]
    status: str
    step: int
    best: float | None
    best_step: int | None
    last: float | None
    error: str | None
    curves: dict[str, Curve]


class Group(NamedTuple):
    """Runs that differ only in their seed.

    Attributes:
        name: the settings that they share, of those in which the runs of the comparison differ.
        best: mean and sample deviation of the best values of the metric; None if it was never finite.
        last: the same of the last recorded values.
    """

    name: str
    rows: list[Row]
    best: "Spread | None"
    last: "Spread | None"


class Comparison(NamedTuple):
    """The runs below a folder: the best run first, failed runs last.

    Attributes:
        settings: the keys in which the runs differ.
        by: the metric that orders them; None if no metric was recorded, or by default none with a direction.
        mode: `"min"` or `"max"`.
    """

    folder: Path
    settings: list[str]
    by: str | None
    mode: str
    rows: list[Row]

    @property
    def groups(self) -> list[Group]:
        """The runs by their settings without the seed; the best mean first."""
        shared: dict[str, list[Row]] = {}
        for row in self.rows:
            name = "  ".join(f"{key}={_shown(value)}" for key, value in row.settings.items() if key != "seed")
            shared.setdefault(name or "all", []).append(row)
        groups = [
            Group(name, rows, _spread(row.best for row in rows), _spread(row.last for row in rows))
            for name, rows in shared.items()
        ]
        return sorted(groups, key=lambda group: rank(group.best and group.best[0], self.mode))

    @property
    def heads(self) -> list[str]:
        """The names of the columns of the table."""
        metric = [f"best {self.by}", "best step", f"last {self.by}"] if self.by else []
        return ["run", *self.settings, "status", "step", *metric, "error"]

    def cells(self, row: Row, most: int | None = None) -> list[Cell]:
        """Returns a row of the table, with at most `most` settings: numbers, texts, and None for empty cells."""
        keys = self.settings[:most]
        settings = [_shown(row.settings.get(key)) if key in row.settings else None for key in keys]
        metric = [row.best, row.best_step, row.last] if self.by else []
        return [row.place, *settings, row.status, row.step, *metric, row.error]

    def __rich__(self) -> "RenderableType":
        """Returns what a terminal shows: the table, and the errors of failed runs."""
        from rich import console, text

        errors = [text.Text(f"{row.place}: {row.error}", "red") for row in self.rows if row.error]
        return console.Group(self.table(), *errors)

    def table(self) -> "RenderableType":
        """Returns the table for a terminal, and the means over seeds."""
        from rich import console

        title = f"{len(self.rows)} run{'s' * (len(self.rows) != 1)}" + (
            f" by {self.by} ({self.mode})" if self.by else ""
        )
        names = [key.rpartition(".")[2] for key in self.settings]
        keys = [
            name if names.count(name) == 1 else key for key, name in zip(self.settings, names, strict=True)
        ][:SHOWN]
        if len(self.settings) > SHOWN:
            title += f", with {SHOWN} of the {len(self.settings)} settings that differ"
        heads = ["run", *keys, "status", "step", *(["best", "at step", "last"] if self.by else [])]
        parts = [
            table(
                title, heads, [[_rounded(cell) for cell in self.cells(row, SHOWN)[:-1]] for row in self.rows]
            )
        ]
        if self.by and len(self.groups) < len(self.rows):
            rows = [
                [_rounded(cell) for cell in (group.name, len(group.rows), group.best, group.last)]
                for group in self.groups
            ]
            parts += [table("\nmean ± deviation over seeds", ["settings", "runs", "best", "last"], rows)]
        return console.Group(*parts)

    def csv(self) -> str:
        """Returns the table as CSV, with all digits."""
        return csv_of([self.heads, *(self.cells(row) for row in self.rows)])

    def html(self) -> str:
        """Returns a page, in one file, with the table and the curves of all runs."""
        groups = self.groups
        group_of = {row.place: index for index, group in enumerate(groups) for row in group.rows}
        page = {
            "title": escaped(str(self.folder)),
            "by": self.by,
            "mode": self.mode,
            "heads": self.heads,
            "groups": [{**group._asdict(), "rows": len(group.rows)} for group in groups],
            "runs": [
                {
                    "cells": [_finite(cell) for cell in self.cells(row)],
                    "group": group_of[row.place],
                    "curves": {name: _thinned(curve) for name, curve in sorted(row.curves.items())},
                }
                for row in self.rows
            ],
        }
        # JSON may escape "<", and only a "<" can end the script.
        text = json.dumps(page, allow_nan=False, ensure_ascii=False).replace("<", r"\u003c")
        return PAGE.read_text(encoding="utf-8").replace("{{page}}", text)

    def write(self) -> tuple[Path, Path]:
        """Writes `table.csv` and `table.html` into the folder."""
        paths = self.folder / "table.csv", self.folder / "table.html"
        refuse_linked(*paths)
        texts = (text.encode(errors="backslashreplace") for text in (self.csv(), self.html()))
        replace_all(dict(zip(paths, texts, strict=True)))
        return paths


def compare(folder: str | Path, by: str | None = None, mode: str | None = None) -> Comparison:
    """Reads every run below a folder; a run that has members is replaced by them.

    Args:
        folder: the folder of a sweep, or of a run that has members.
        by: a metric of the records, on the validation split if it was recorded there; by default the one that
            `loop.best` names, or else one whose direction is known.
        mode: `"min"` or `"max"`; by default the direction of the metric, which `loop.mode` or a declaration says.

    Raises:
        ValueError: there is no run, the metric is unknown, or its direction is unknown and `mode` is not given.
    """
    folder = Path(folder)
    paths = ordered(folder)
    if not paths:
        raise ValueError(f"{folder}: holds no run; `runner ls` lists those below a folder")
    runs, rows = [], []
    for path in paths:
        place = escaped(str(path.relative_to(folder)))
        try:
            runs.append(Described.of(place, Directory(path)))
        except (ValueError, OSError) as error:  # the others are compared all the same
            rows.append(_unreadable(place, error))
    names = dict.fromkeys(itertools.chain.from_iterable(run.curves for run in runs))
    by, mode = _order(by, mode, runs, list(names))
    name_choices(runs)
    keys = differing([run.settings for run in runs])
    rows += [_row(run, keys, by, mode) for run in runs]
    rows.sort(key=lambda row: (row.status in ("failed", UNREADABLE), *rank(row.best, mode)))
    return Comparison(folder, keys, by, mode, rows)


def _order(
    by: str | None, mode: str | None, runs: Sequence[Described], names: Sequence[str]
) -> tuple[str | None, str]:
    """Returns the metric that orders the runs, and its mode."""
    if mode not in (None, *MODES):
        raise ValueError(f"mode: {mode!r} is neither min nor max")
    if by is None:
        usual = [*(run.best for run in runs), "validation/loss"]
        usual += sorted(names, key=lambda name: "validation/" not in name)
        by = next((name for name in usual if name in names and (mode or _direction(name, runs))), None)
    elif f"validation/{by}" in names:
        by = f"validation/{by}"
    elif by not in names:
        raise ValueError(f"by: {by!r} is not a metric of these runs; known: {', '.join(names) or 'none'}")
    direction = mode or ("min" if by is None else _direction(by, runs))
    if direction is None:
        raise ValueError(
            f"mode: the runs do not agree on whether a higher or a lower {by} is better; say mode=max or mode=min"
        )
    return by, direction


def _direction(name: str, runs: Sequence[Described]) -> str | None:
    """Returns the direction of a metric, or None if no run knows it or two contradict each other."""
    directions = {run.direction(name) for run in runs if name in run.curves} - {None}
    return directions.pop() if len(directions) == 1 else None


def _row(run: Described, keys: Sequence[str], by: str | None, mode: str) -> Row:
    info, curve = run.info, [] if by is None else run.curves.get(by, [])
    own = [point for point in curve if point[0]]  # step 0 is the evaluation of a warm start
    step, best = best_of(own, mode) or (None, None)
    last = max((each[-1][0] for each in run.curves.values()), default=0)
    return Row(
        place=run.place,
        settings={key: run.settings[key] for key in keys if key in run.settings},
        status=escaped(info.status),
        step=info.step or last,
        best=best,
        best_step=step,
        last=curve[-1][1] if curve else None,
        error=info.error and escaped(" ".join(info.error.split())),
        curves=run.curves,
    )


def _unreadable(place: str, error: Exception) -> Row:
    return Row(place, {}, UNREADABLE, 0, None, None, None, escaped(describe(error)), {})


def _spread(values: Iterable[float | None]) -> "Spread | None":
    from runner.runs.spread import spread_of

    finite = [value for value in values if value is not None and math.isfinite(value)]
    return spread_of(finite) if finite else None


def _thinned(curve: Curve) -> tuple[list[int], list[Cell]]:
    """Returns about POINTS points of a curve, always with the last, to five digits: more than the page can show."""
    kept = curve[:: math.ceil(len(curve) / POINTS)]
    kept += curve[-1:] if kept[-1] != curve[-1] else []
    return [step for step, _ in kept], [_finite(float(f"{value:.5g}")) for _, value in kept]


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _shown(value: object) -> int | float | str:
    """Returns a setting as a number or a text; booleans become texts, although they are numbers in Python."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        return value
    return json.dumps(value, default=str)


def _rounded(cell: object) -> str:
    if isinstance(cell, tuple):
        return f"{cell[0]:.4g} ± {cell[1]:.2g}"
    return "" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell)
