"""What a comparison reads of the runs below a folder, which may come from somebody else."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runner.compose.names import choice_of
from runner.compose.tree import TARGET, Node, leaves
from runner.core.declarations import direction, maximized, minimized
from runner.loop.best import MODES
from runner.process.terminal import escaped
from runner.storage.differences import HORIZON
from runner.storage.run_directory import WEIGHTS, Directory, below
from runner.storage.run_info import RunInfo

Curve = list[tuple[int, float]]
# The directions of our metrics, for runs that began before run infos had them.
EARLIER = minimized(
    **dict.fromkeys(
        ("loss", "rmse", "mae", "squared_error", "noise_loss", "image_loss", "reconstruction"), ""
    ),
    **dict.fromkeys(("perplexity", "excess", "value_loss"), ""),
    **dict.fromkeys(("energy_distance", "sliced_wasserstein", "kernel_distance"), ""),
) | maximized(
    **dict.fromkeys(("accuracy", "r2", "return", "modes", "high_quality", "precision", "recall"), "")
)


class Described(NamedTuple):
    """A run of a comparison; names and texts of the settings, and the names of metrics, are escaped.

    Attributes:
        place: the path of its directory, relative to the folder.
        settings: the plain values of its configuration, by their dotted keys.
        info: its run info.
        curves: every metric over the steps.
    """

    place: str
    settings: dict[str, Node]
    info: RunInfo
    curves: dict[str, Curve]

    @property
    def best(self) -> str | None:
        """The metric that `loop.best` names, as the records name it."""
        best = self.settings.get("loop.best")
        return f"validation/{best}" if isinstance(best, str) else None

    def direction(self, name: str) -> str | None:
        """Returns the direction of a metric of the records, "min" or "max", or None if nothing declares it."""
        if name == self.best and self.settings.get("loop.mode") in MODES:
            return self.settings["loop.mode"]
        declared = EARLIER if self.info.metrics is None else self.info.declared
        return direction(name.removeprefix("validation/"), declared)

    @classmethod
    def of(cls, place: str, run: Directory) -> "Described":
        """Reads a run.

        Raises:
            ValueError: a file is damaged or leads out of the directory.
        """
        settings = {escaped(key): _plain(value) for key, value in leaves(run.described())}
        return cls(place, settings, run.info, _curves(run.records))


def ordered(folder: Path) -> list[Path]:
    """Returns the runs below a folder, ordered by the numbers in their paths; members replace the run that has them."""
    paths = {*below(folder)}
    above = {parent for path in paths for parent in path.parents}
    numbered = lambda path: [(int(part) if part.isdecimal() else -1, part) for part in path.parts]
    return sorted(paths - above, key=numbered)


def differing(configs: Sequence[Mapping[str, object]]) -> list[str]:
    """Returns the keys in which configurations differ, without those that are set by another key."""
    keys = dict.fromkeys(itertools.chain.from_iterable(configs))
    missing = object()
    differing = [
        key for key in keys if any(one.get(key, missing) != configs[0].get(key, missing) for one in configs)
    ]
    is_set_by_steps = lambda key: key == "loop.steps" or key.rpartition(".")[2] == HORIZON
    return [key for key in differing if not ("steps" in differing and is_set_by_steps(key))]


def name_choices(runs: Sequence[Described]) -> None:
    """Replaces the targets and settings of each part in which runs differ by the name that one types for it.

    A setting of such a part stays if it differs among the runs of one choice.
    """
    targets = [key for key in differing([run.settings for run in runs]) if key.endswith(f".{TARGET}")]
    parts = dict.fromkeys(key.removesuffix(f".{TARGET}").removesuffix(".make") for key in targets)
    for part in parts:
        groups: dict[str, list[dict]] = {}
        for run in runs:
            groups.setdefault(_choice(run, part), []).append(run.settings)
        kept = {key for group in groups.values() for key in differing(group)}
        for run in runs:
            target = f"{part}.{TARGET}"
            settings = [
                (part, _choice(run, part)) if key == target else (key, value)
                for key, value in run.settings.items()
                if key in kept or key == target or not key.startswith(f"{part}.")
            ]
            run.settings.clear()
            run.settings.update(settings)


def _choice(run: Described, part: str) -> str:
    target, make = (run.settings.get(f"{key}.{TARGET}") for key in (part, f"{part}.make"))
    return choice_of(str(target), make and str(make))


def _plain(value: Node) -> Node:
    return escaped(value) if isinstance(value, str) else value


def _curves(records: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for record in records:
        for name, value in record.items():
            if name not in ("step", WEIGHTS):
                curves.setdefault(escaped(name), []).append((record["step"], float(value)))
    return curves
