"""The commands that list and describe runs and parts."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from runner.process import terminal
from runner.process.terminal import escaped, table
from runner.storage.run_info import UNREADABLE, RunInfo

if TYPE_CHECKING:
    from runner.storage.run_directory import Directory


def status(run: str) -> None:
    """Shows the progress of a run, why it ended and how to resume it: RUN."""
    from runner.compose.checks import check_run
    from runner.storage import lock
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    config, info = check_run(directory.described()), directory.info
    died = info.status == "running" and not lock.is_held(directory.path)
    rows = {
        "status": "killed" if died else info.status,
        "last saved step": info.saved,
        "of": config["steps"],
        "why it ended": info.error,
        "first step that was not finite": info.bad_step,
    }
    if info.status != "finished":
        rows["resume by"] = directory.resume_command
    for key, value in rows.items():
        if value is not None:
            show_line(f"{key}: {value}")


def parts(group: str | None = None) -> None:
    """Lists the parts with their settings and defaults: [GROUP]."""
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


def ls(folder: str = ".") -> None:
    """Lists the runs below a folder: [FOLDER]."""
    from runner.compose.checks import check_run
    from runner.compose.tree import name_of
    from runner.storage.run_directory import Directory, below

    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    rows, errors = [], {}
    for path in sorted(below(folder)):
        run = Directory(path)
        try:
            config, info = check_run(run.described()), run.info
            scenario, data = (name_of(config[part]) for part in ("scenario", "dataset"))
            rest = (scenario, data, str(info.seed), _step(info, config), _best(info))
            rows.append((str(path), info.status, *rest))
        except (ValueError, OSError) as error:  # the others are listed all the same
            rows.append((str(path), UNREADABLE, "", "", "", "", ""))
            errors[path] = " ".join(str(error).split())
    show_table("runs", ("run", "status", "scenario", "dataset", "seed", "step", "best"), rows)
    for path, error in errors.items():
        show_line(f"{path}: {error}")


def show(run: str) -> None:
    """Shows the run info, the last metrics and the configuration of a run: RUN."""
    from runner.compose.tree import leaves
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    config, info = directory.described(), dataclasses.asdict(directory.info)
    shown = {key: value for key, value in info.items() if key not in ("spec", "goes_on")}
    show_table("run", ("is", "value"), _rows(shown))
    show_table("last record of each metric", ("metric", "value"), _rows(_last(directory)))
    show_table("configuration", ("key", "value"), _rows(dict(leaves(config))))


def diff(run: str, other: str) -> None:
    """Shows the differences between two runs: RUN RUN."""
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


def compare(folder: str, by: str | None = None, mode: str | None = None) -> None:
    """Compares the runs below a folder, best first: FOLDER [by=METRIC] [mode=min|max]."""
    from runner.runs import comparison

    compared = comparison.compare(folder, by, mode)
    terminal.show(compared)
    rows, page = compared.write()
    show_line(f"written to {rows} and {page}")


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


def _step(info: RunInfo, config: Mapping) -> str:
    return f"{'?' if info.step is None else info.step}/{config['steps']}"


def _best(info: RunInfo) -> str:
    best = info.best
    return (
        "" if best["value"] is None else f"{best['metric'].removeprefix('validation/')} {best['value']:.4g}"
    )
