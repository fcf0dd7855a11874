"""The command that lists the runs below a folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from runner.commands.listings import show_json, show_line, show_table
from runner.commands.words import plain
from runner.compose.checks import LABELS, check_run
from runner.compose.names import choice_of
from runner.compose.tree import Node, is_part, is_reference, referenced, targets_of
from runner.errors import describe
from runner.storage.run_info import UNREADABLE, RunInfo

SWEEPS = ("jobs.json", "multirun.yaml")  # a file in the folder of each sweep, of runner or of Hydra
HEADS = ("run", "status", "scenario", "dataset", "seed", "step", "best", "name", "tags")
ABSENT = object()


def ls(folder: str = ".", as_json: bool = False, **filters: object) -> None:
    """Lists the runs below a folder; a sweep in it is one line."""
    from runner.storage.run_directory import Directory, below

    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    rows, found, known = [], [], set()
    sweeps: dict[Path, list[tuple[RunInfo, dict]]] = {}
    paths = {*below(folder)}
    for path in sorted(path for path in paths if as_json or not paths & {*path.parents}):
        try:
            run = Directory(path)
            config, info = check_run(run.described()), run.info
            values = {key: _value(key, config, info) for key in filters}
            known |= {"status", *(key for key, value in values.items() if value is not ABSENT)}
            if all(_matches(values[key], wanted) for key, wanted in filters.items()):
                sweep = _sweep(path, Path(folder))
                found.append({"run": str(path), **_about(config, info), "sweep": sweep and str(sweep)})
                if sweep is None:
                    rows.append((str(path), *_cells(config, info)))
                else:
                    sweeps.setdefault(sweep, []).append((info, config))
        except (ValueError, OSError) as error:  # the others are listed all the same
            rows.append((str(path), UNREADABLE, *[""] * (len(HEADS) - 2)))
            found.append({"run": str(path), "status": UNREADABLE, "error": describe(error)})
    for key in filters:
        if known and key not in known:
            raise ValueError(f"{key}: no run below {folder} has such a setting")
    if as_json:
        return show_json(found)
    _show(sorted([*rows, *(_line(sweep, runs) for sweep, runs in sweeps.items())]))
    for each in found:
        if "error" in each:
            show_line(f"{each['run']}: {each['error']}")


def _about(config: Mapping, info: RunInfo) -> dict[str, object]:
    own = {part: _choice(config[part]) for part in ("scenario", "dataset")}
    labels = {key: config[key] for key in LABELS}
    run = {"seed": info.seed, "step": info.step, "steps": config["steps"], "best": info.best}
    return {"status": info.status, **own, **run, **labels}


def _cells(config: Mapping, info: RunInfo) -> tuple[str, ...]:
    own = info.status, _choice(config["scenario"]), _choice(config["dataset"])
    progress = _seeds(config), _step(info, config), _best(info.best)
    return (*own, *progress, config["name"] or "", ", ".join(config["tags"] or ()))


def _show(rows: Sequence[tuple[str, ...]]) -> None:
    """Shows a table without the columns of names and tags if no run has them."""
    columns = [
        number
        for number, head in enumerate(HEADS)
        if head not in ("name", "tags") or any(row[number] for row in rows)
    ]
    cut = lambda row: tuple(row[number] for number in columns)
    show_table("runs", cut(HEADS), [cut(row) for row in rows])


def _line(sweep: Path, runs: Sequence[tuple[RunInfo, dict]]) -> tuple[str, ...]:
    shared = [set(config["tags"] or ()) for _, config in runs]
    names = {config["name"] or "" for _, config in runs}
    name = names.pop() if len(names) == 1 else ""
    tags = ", ".join(sorted(set.intersection(*shared)))
    return (str(sweep), _statuses([info for info, _ in runs]), "", "", "", "", _best_of(runs), name, tags)


def _value(key: str, config: Mapping, info: RunInfo) -> Node:
    """Returns the status, a setting, or the choice of a part, with which a filter is compared, or ABSENT."""
    if key == "status":
        return info.status
    node: Node = config
    for name in key.split("."):
        node = node.get(name, ABSENT) if isinstance(node, Mapping) else ABSENT
        node = config.get(referenced(node)) if is_reference(node) else node
    return _choice(node) if is_part(node) else node


def _choice(part: Mapping) -> str:
    return choice_of(*targets_of(part))


def _matches(value: Node, wanted: object) -> bool:
    if isinstance(value, list) and not isinstance(wanted, list):
        return any(_matches(each, wanted) for each in value)
    if isinstance(value, str):
        return fnmatchcase(value, str(wanted))
    wanted = plain(wanted) if isinstance(wanted, str) else wanted
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


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


def _statuses(runs: Sequence[RunInfo]) -> str:
    counts = Counter(info.status for info in runs)
    return f"{len(runs)} runs: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _best_of(runs: Sequence[tuple[RunInfo, dict]]) -> str:
    """Returns the best of the best values, or "" if the runs do not agree on the metric and its direction."""
    from runner.core.declarations import direction
    from runner.loop.best import rank

    recorded = [(info, config["loop"]) for info, config in runs if info.best["value"] is not None]
    name = lambda info: info.best["metric"].removeprefix("validation/")
    known = {(name(info), loop["mode"] or direction(name(info), info.declared)) for info, loop in recorded}
    mode = next((mode for _, mode in known), None)
    if len(known) != 1 or mode is None:
        return ""
    return _best(min((info.best for info, _ in recorded), key=lambda best: rank(best["value"], mode)))
