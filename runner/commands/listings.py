"""The commands that list and describe runs and parts."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from runner.process.terminal import table
from runner.storage.run_info import RunInfo

# A path may contain brackets, or words between colons, which rich would take for emoji.
console = Console(soft_wrap=True, markup=False, emoji=False)


def status(run: str) -> None:
    """Shows the progress of a run, why it ended and how to resume it: RUN."""
    from runner.storage import lock
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    directory.refuse_no_run()
    info = directory.info
    died = info.status == "running" and not lock.is_held(directory.path)
    rows = {
        "status": "killed" if died else info.status,
        "last saved step": info.saved,
        "of": directory.config["steps"],
        "why it ended": info.error,
        "first step that was not finite": info.bad_step,
    }
    if info.status != "finished":
        rows["resume by"] = info.goes_on
    for key, value in rows.items():
        if value is not None:
            console.print(f"{key}: {value}", highlight=False)


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
    from runner.compose.tree import name_of
    from runner.storage.run_directory import Directory, below

    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    rows = []
    for path in sorted(below(folder)):
        run = Directory(path)
        info, config = run.info, run.config
        scenario, data = (name_of(config[part]) for part in ("scenario", "dataset"))
        rows.append(
            (
                str(path),
                info.status,
                scenario,
                data,
                str(info.seed),
                _step(info, config),
                _best(info),
            )
        )
    show_table("runs", ("run", "status", "scenario", "dataset", "seed", "step", "best"), rows)


def show(run: str) -> None:
    """Shows the run info, the last metrics and the configuration of a run: RUN."""
    from runner.compose.tree import leaves
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    directory.refuse_no_run()
    info, records = dataclasses.asdict(directory.info), directory.records
    show_table("run", ("is", "value"), _rows({key: value for key, value in info.items() if key != "spec"}))
    last = {name: value for row in records for name, value in row.items()}
    show_table("last record of each metric", ("metric", "value"), _rows(last))
    show_table("configuration", ("key", "value"), _rows(dict(leaves(directory.config))))


def diff(run: str, other: str) -> None:
    """Shows the differences between two runs: RUN RUN."""
    from runner.compose.tree import leaves
    from runner.storage.run_directory import Directory

    runs = [Directory(run), Directory(other)]
    for directory in runs:
        directory.refuse_no_run()
    views = {
        "configuration": [dict(leaves(each.config)) for each in runs],
        "run": [
            dict(leaves({key: getattr(each.info, key) for key in ("versions", "git", "device", "data")}))
            for each in runs
        ],
        "last metrics": [
            {name: value for row in each.records for name, value in row.items()} for each in runs
        ],
    }
    for title, (one, two) in views.items():
        keys = [key for key in one | two if one.get(key) != two.get(key)]
        rows = [(key, str(one.get(key, "-")), str(two.get(key, "-"))) for key in keys]
        show_table(f"{title}: {len(rows)} differences", ("", run, other), rows)


def compare(folder: str, by: str | None = None, mode: str | None = None) -> None:
    """Compares the runs below a folder, best first: FOLDER [by=METRIC] [mode=min|max]."""
    from runner.runs import comparison

    compared = comparison.compare(folder, by, mode)
    console.print(compared)
    rows, page = compared.write()
    console.print(f"written to {rows} and {page}")


def show_table(title: str, heads: Sequence[str], rows: Sequence[tuple]) -> None:
    """Prints a table of plain texts."""
    console.print(table(title, heads, rows))


def _rows(values: Mapping) -> list[tuple[str, str]]:
    return [
        (key, json.dumps(value) if isinstance(value, dict | list) else str(value))
        for key, value in values.items()
    ]


def _step(info: RunInfo, config: Mapping) -> str:
    return f"{'?' if info.step is None else info.step}/{config['steps']}"


def _best(info: RunInfo) -> str:
    best = info.best
    return (
        "" if best["value"] is None else f"{best['metric'].removeprefix('validation/')} {best['value']:.4g}"
    )
