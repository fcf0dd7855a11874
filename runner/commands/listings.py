"""The commands that list and describe runs and parts."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from runner.errors import describe
from runner.process import terminal
from runner.process.terminal import escaped, table
from runner.storage.run_info import UNREADABLE, RunInfo

SWEEPS = ("jobs.json", "multirun.yaml")  # a file in the folder of each sweep, of runner or of Hydra

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


def ls(folder: str = ".", as_json: bool = False) -> None:
    """Lists the runs below a folder; a sweep in it is one line."""
    from runner.compose.checks import check_run
    from runner.compose.names import choice_of
    from runner.compose.tree import targets_of
    from runner.storage.run_directory import Directory, below

    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    rows, found = [], []
    sweeps: dict[Path, list[tuple[RunInfo, dict]]] = {}
    paths = {*below(folder)}
    for path in sorted(path for path in paths if as_json or not paths & {*path.parents}):
        run = Directory(path)
        try:
            config, info = check_run(run.described()), run.info
            scenario, data = (choice_of(*targets_of(config[part])) for part in ("scenario", "dataset"))
            sweep = _sweep(path, Path(folder))
            if sweep is None:
                seeds, step = _seeds(config), _step(info, config)
                rows.append((str(path), info.status, scenario, data, seeds, step, _best(info.best)))
            else:
                sweeps.setdefault(sweep, []).append((info, config["loop"]))
            known = {"status": info.status, "scenario": scenario, "dataset": data, "seed": info.seed}
            known["sweep"] = None if sweep is None else str(sweep)
            found.append(
                {"run": str(path), **known, "step": info.step, "steps": config["steps"], "best": info.best}
            )
        except (ValueError, OSError) as error:  # the others are listed all the same
            rows.append((str(path), UNREADABLE, "", "", "", "", ""))
            found.append({"run": str(path), "status": UNREADABLE, "error": describe(error)})
    if as_json:
        return show_json(found)
    rows += [(str(sweep), _statuses(runs), "", "", "", "", _best_of(runs)) for sweep, runs in sweeps.items()]
    show_table("runs", ("run", "status", "scenario", "dataset", "seed", "step", "best"), sorted(rows))
    for each in found:
        if "error" in each:
            show_line(f"{each['run']}: {each['error']}")


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


def _seeds(config: Mapping) -> str:
    first, count = config["seed"], config["seeds"]
    return str(first) if count is None else f"{first} to {first + count - 1}"


def _step(info: RunInfo, config: Mapping) -> str:
    return f"{'?' if info.step is None else info.step}/{config['steps']}"


def _best(best: Mapping) -> str:
    return (
        "" if best["value"] is None else f"{best['metric'].removeprefix('validation/')} {best['value']:.4g}"
    )


def _sweep(path: Path, folder: Path) -> Path | None:
    """Returns the sweep of a run that is below a folder and not the folder itself, or None."""
    inner = path.parents[: max(0, len(path.relative_to(folder).parts) - 1)]
    return next((each for each in inner for name in SWEEPS if (each / name).is_file()), None)


def _statuses(runs: Sequence[tuple[RunInfo, dict]]) -> str:
    counts = Counter(info.status for info, _ in runs)
    return f"{len(runs)} runs: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _best_of(runs: Sequence[tuple[RunInfo, dict]]) -> str:
    """Returns the best of the best values, or "" if the runs do not agree on the metric and its direction."""
    from runner.core.declarations import direction
    from runner.loop.best import rank

    recorded = [(info, loop) for info, loop in runs if info.best["value"] is not None]
    name = lambda info: info.best["metric"].removeprefix("validation/")
    known = {(name(info), loop["mode"] or direction(name(info), info.declared)) for info, loop in recorded}
    mode = next((mode for _, mode in known), None)
    if len(known) != 1 or mode is None:
        return ""
    return _best(min((info.best for info, _ in recorded), key=lambda best: rank(best["value"], mode)))
