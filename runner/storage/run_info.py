"""The run info, the content of `run.json`, as a typed object. Only this module uses the keys of the file."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from runner.core.declarations import Metric
from runner.process.files import read_small

NAME = "run.json"
NO_BEST = {"metric": None, "value": None, "step": None}
# The version of the file format. Files without a version were written before it was recorded, with the same keys.
VERSION = 1
UNREADABLE = "unreadable"  # what lists of runs show as the status of a run that is damaged or not trusted
LEVELS = 24  # of nesting of a JSON object
LARGEST = 2**63  # of a whole number


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """Information about a run in addition to its configuration; each field is a key of `run.json`.

    Attributes:
        status: "running", "finished", "stopped" (it can be resumed) or "failed".
        seed: the seed of the run, or the first of several seeds.
        command: the arguments of the last command that trained the run.
        device: platform, kind and number of devices.
        processors: the number of processors that XLA used.
        versions: the versions of Python and of packages.
        folder: the working directory in which the run began, for its relative paths.
        git: the commit of the working directory, with a plus if files were changed.
        spec: the spec of the data, as returned by `Spec.to_json`.
        data: the digest of the data.
        init_from: run, step and names of the warm start.
        weights: "raw" or "average": which parameters are evaluated.
        metrics: the declared metrics of the run, each with its `mode` and `meaning`.
        step: the last step of a finished run.
        best: metric, value and step of the best evaluation, each None if there is none.
        stopped_early: whether patience ended the run before its last step.
        saved: the newest step whose checkpoint is on the disk.
        changes: settings, data or versions that changed when the run was resumed.
        started: the time of the last start, in UTC.
        ended: the time of its end, in UTC.
        error: the error that ended the run, or None.
        bad_step: the step of the first value that was not finite.
        goes_on: the command that resumes the run.
        version: the version of the file format.
    """

    status: str
    seed: int | None = None
    command: list | None = None
    device: str | None = None
    processors: int | None = None
    versions: dict = dataclasses.field(default_factory=dict)
    folder: str | None = None
    git: str | None = None
    spec: dict | None = None
    data: str | None = None
    init_from: dict | None = None
    weights: str = "raw"
    metrics: dict | None = None
    step: int | None = None
    best: dict = dataclasses.field(default_factory=NO_BEST.copy)
    stopped_early: bool = False
    saved: int | None = None
    changes: list = dataclasses.field(default_factory=list)
    started: str | None = None
    ended: str | None = None
    error: str | None = None
    bad_step: int | None = None
    goes_on: str | None = None
    version: int = VERSION

    @classmethod
    def read(cls, folder: Path) -> "RunInfo":
        """Reads the file of a run directory; missing keys take their defaults.

        Raises:
            ValueError: there is no such file, it is damaged, or it was written in another version of the format.
        """
        path = folder / NAME
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file; it is written when a run begins")
        values = read_record(read_small(path), str(path))
        if "status" not in values:
            raise ValueError(f"{path}: has no status; restore a copy")
        if values.get("version", VERSION) != VERSION:
            raise ValueError(
                f"{path}: was written by another version of runner (format {values['version']!r})"
            )
        known = {field.name: field.type for field in dataclasses.fields(cls)}
        for key, value in values.items():
            kind: Any = known.get(key, object)
            if not isinstance(value, kind):
                raise ValueError(f"{path}: {key} is {value!r:.100}, not {kind}; restore a copy")
        info = cls(**{key: value for key, value in values.items() if key in known})
        if info.device is not None:  # its earlier text
            device = re.sub(r"(\d+) in sight$", r"devices: \1", info.device)
            info = dataclasses.replace(info, device=device)
        if not _is_best(info.best):
            raise ValueError(f"{path}: best lacks a metric, a value or a step; restore a copy")
        return info

    @property
    def declared(self) -> dict[str, Metric]:
        """The declared metrics, without those that are damaged."""
        modes = {
            name: metric.get("mode")
            for name, metric in (self.metrics or {}).items()
            if isinstance(metric, dict)
        }
        return {name: Metric(mode, "") for name, mode in modes.items() if mode in ("min", "max")}

    def to_json(self) -> bytes:
        """Returns the content of the file."""
        return (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode()


def _is_best(best: dict) -> bool:
    if not NO_BEST.keys() <= best.keys():
        return False
    metric, value, step = (best[key] for key in NO_BEST)
    if value is None:
        return True
    return isinstance(metric, str) and is_number(value) and isinstance(step, int)


def is_number(value: object) -> bool:
    """Returns whether a value of JSON is a number that a float can hold."""
    return type(value) is float or (type(value) is int and -LARGEST <= value <= LARGEST)


def read_record(text: str | bytes, where: str) -> dict:
    """Parses one JSON object.

    Args:
        text: the text of the object.
        where: file and line, for the error message.

    Raises:
        ValueError: the text is damaged, not an object, or too deep.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: is damaged or not JSON ({error}); repair it or restore a copy") from None
    if not isinstance(record, dict):
        raise ValueError(f"{where}: is not a JSON object; repair it or restore a copy")
    if _is_deeper(record, LEVELS):
        raise ValueError(f"{where}: has more than {LEVELS} levels; repair it or restore a copy")
    return record


def _is_deeper(node: object, levels: int) -> bool:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return inner is not None and (not levels or any(_is_deeper(value, levels - 1) for value in inner))
