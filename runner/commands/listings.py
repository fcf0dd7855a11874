"""The commands that list and describe runs and parts."""

import dataclasses
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from runner.process import terminal
from runner.process.terminal import escaped, table

if TYPE_CHECKING:
    from runner.runs.comparison import Comparison
    from runner.storage.run_directory import Directory


def status(run: str, as_json: bool = False) -> None:
    """Shows the progress of a run, why it ended and how to resume it."""
    from runner.compose.checks import check_run
    from runner.storage import lock
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    config, info = check_run(directory.described()), directory.info
    died = info.status == "running" and not lock.is_held(directory.path)
    status = "killed" if died else info.status
    resume = None if info.status == "finished" else directory.resume_command
    if as_json:
        fields = {
            "saved": info.saved,
            "steps": config["steps"],
            "error": info.error,
            "bad_step": info.bad_step,
        }
        return show_json({"run": str(directory.path), "status": status, **fields, "resume": resume})
    rows = {
        "status": status,
        "last saved step": info.saved,
        "of": config["steps"],
        "why it ended": info.error,
        "first step that was not finite": info.bad_step,
        "resume by": resume,
    }
    for key, value in rows.items():
        if value is not None:
            show_line(f"{key}: {value}")


def parts(group: str | None = None) -> None:
    """Lists the parts with their settings and defaults."""
    from runner.compose import choices

    known = choices.parts()
    if group is not None and group not in known:
        raise ValueError(f"{group} is not a group of parts; known: {', '.join(known)}")
    for name, options in known.items():
        if group in (None, name):
            rows = [(choice, part["about"], _settings(part["settings"])) for choice, part in options.items()]
            show_table(name, ("choice", "is", "settings"), rows)


def _settings(settings: Mapping) -> str:
    return "  ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())


def show(run: str, as_json: bool = False) -> None:
    """Shows the run info, the last metrics and the configuration of a run."""
    from runner.compose.tree import leaves
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    config, info = directory.described(), dataclasses.asdict(directory.info)
    if as_json:
        return show_json({"info": info, "metrics": _last(directory), "config": config})
    shown = {key: value for key, value in info.items() if key not in ("spec", "goes_on")}
    show_table("run", ("is", "value"), _rows(shown))
    show_table("last record of each metric", ("metric", "value"), _rows(_last(directory)))
    show_table("configuration", ("key", "value"), _rows(dict(leaves(config))))


def diff(run: str, other: str) -> None:
    """Shows the differences between two runs."""
    from runner.compose.tree import leaves
    from runner.storage.run_directory import Directory

    runs = [Directory(run), Directory(other)]
    views = {
        "configuration": [dict(leaves(each.described())) for each in runs],
        "run": [
            dict(leaves({key: getattr(each.info, key) for key in ("versions", "git", "device", "data")}))
            for each in runs
        ],
        "last metrics": [_last(each) for each in runs],
    }
    for title, (one, two) in views.items():
        keys = [key for key in one | two if one.get(key) != two.get(key)]
        rows = [(key, str(one.get(key, "-")), str(two.get(key, "-"))) for key in keys]
        show_table(f"{title}: {len(rows)} differences", ("", run, other), rows)


def compare(folder: str, by: str | None = None, mode: str | None = None, as_json: bool = False) -> None:
    """Compares the runs below a folder, best first."""
    from runner.runs import comparison

    compared = comparison.compare(folder, by, mode)
    if as_json:
        compared.write()
        return show_json(_as_json(compared))
    terminal.show(compared)
    rows, page = compared.write()
    show_line(f"written to {rows} and {page}")


def best(folder: str, by: str | None = None, mode: str | None = None, as_json: bool = False) -> None:
    """Shows the best of the runs below a folder, and the command that repeats it."""
    from runner.runs import comparison

    compared = comparison.compare(folder, by, mode)
    first = compared.rows[0]
    if compared.by is None or first.best is None:
        raise ValueError(f"{folder}: no run has a value by which runs compare; name a metric by by=METRIC")
    path = str(compared.folder / first.place)
    repeat = shlex.join(["runner", f"from={path}"])
    if as_json:
        row = {"run": path, "by": compared.by, "mode": compared.mode, "best": first.best}
        return show_json({**row, "step": first.best_step, "settings": first.settings, "repeat": repeat})
    show_line(f"run: {path}")
    show_line(
        f"{compared.by}: {first.best:.6g} at step {first.best_step}, the {compared.mode} of {len(compared.rows)} runs"
    )
    for key, value in first.settings.items():
        show_line(f"{key}: {value}")
    show_line(f"repeat by: {repeat}")


def _as_json(compared: "Comparison") -> dict:
    """Returns the metric and its direction, the runs in their order, and the groups that differ only in seeds."""
    runs = [
        {"run": row.place}
        | {key: value for key, value in row._asdict().items() if key not in ("place", "curves")}
        for row in compared.rows
    ]
    spread = lambda value: value and value._asdict()
    groups = [
        {"name": group.name, "runs": len(group.rows), "best": spread(group.best), "last": spread(group.last)}
        for group in compared.groups
    ]
    own = {"by": compared.by, "mode": compared.mode, "settings": compared.settings}
    return {**own, "runs": runs, "groups": groups}


def show_json(value: object) -> None:
    """Prints a value as JSON, with null for numbers that are not finite, also where a record has them as texts."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    is_number = not isinstance(value, float) or math.isfinite(value)
    return value if is_number and value not in ("NaN", "Infinity", "-Infinity") else None


def show_line(line: str) -> None:
    """Prints a line of plain text; characters that are not printable are escaped."""
    terminal.show(Text(escaped(line)))


def show_text(text: str) -> None:
    """Prints lines of plain text, with escapes as `show_line`."""
    terminal.show(Text(escaped(text, kept="\n\t")))


def show_table(title: str, heads: Sequence[str], rows: Sequence[tuple]) -> None:
    """Prints a table of plain texts."""
    terminal.show(table(title, heads, rows))


def _rows(values: Mapping) -> list[tuple[str, str]]:
    return [
        (key, json.dumps(value) if isinstance(value, dict | list) else str(value))
        for key, value in values.items()
    ]


def _last(run: "Directory") -> dict[str, object]:
    """Returns the last recorded value of each metric."""
    return {name: value for row in run.rows() for name, value in row.items()}
