"""What a run directory holds beside its checkpoints, records and pictures: its configuration and its story."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

FREE = {
    "steps",
    "traceback",
    "loop.steps",
    "loop.log_every",
    "loop.evaluate_every",
    "loop.save_every",
    "loop.patience",
}
HORIZON = "horizon"  # of an optimizer: the steps that its schedule spans


class Occupied(ValueError):
    """A directory that this run may not use."""


class Directory:
    """A run directory.

    Args:
        path: it need not exist.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()

    @property
    def is_run(self) -> bool:
        """Whether it holds a run."""
        return (self.path / "config.yaml").is_file()

    @property
    def config(self) -> dict:
        """The run's resolved configuration."""
        return yaml.safe_load((self.path / "config.yaml").read_text())

    @property
    def story(self) -> dict:
        """The run's own account of itself: status, versions, device, data, how it ended."""
        return json.loads((self.path / "run.json").read_text())

    @property
    def records(self) -> list[dict]:
        """The rows of `metrics.jsonl`."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def refuse_no_run(self) -> None:
        """Raises ValueError where it holds no run."""
        if not self.is_run:
            raise ValueError(
                f"{self.path}: holds no run (no config.yaml); `runner ls` lists those below a folder"
            )

    def claim(self, config: Mapping) -> None:
        """Refuses a directory that cannot be this run's; writes nothing.

        Raises:
            Occupied: it is a file, cannot be written to, holds something else, or a run of another configuration.
        """
        found = next(path for path in (self.path, *self.path.parents) if path.exists())
        if not found.is_dir():
            raise Occupied(f"run directory {self.path}: {found} is a file; take another hydra.run.dir")
        if not os.access(found, os.W_OK):
            raise Occupied(f"run directory {self.path}: {found} is not writable; take another hydra.run.dir")
        if found != self.path or not any(self.path.iterdir()):
            return
        if not self.is_run:
            raise Occupied(
                f"run directory {self.path}: holds files, but no run; take another hydra.run.dir, or empty it"
            )
        changes = list(differences(self.config, config))
        if changes:
            raise Occupied(
                f"run directory {self.path}: holds a run of another configuration ({'; '.join(changes[:3])});"
                " take another hydra.run.dir"
            )

    def begin(self, config: Mapping, story: Mapping) -> None:
        """Makes the directory and writes down what is about to run."""
        self.path.mkdir(parents=True, exist_ok=True)
        _replace(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
        self.tell(**story, status="running", started=now(), ended=None, error=None)

    def tell(self, **news: Any) -> None:
        """Adds to the run's story."""
        path = self.path / "run.json"
        story = json.loads(path.read_text()) if path.is_file() else {}
        _replace(path, json.dumps(story | news, indent=2) + "\n")


def differences(old: Mapping, new: Mapping) -> Iterator[str]:
    """Tells the settings in which two configurations are two different runs, each as "key: old there, new here"."""
    old_leaves, new_leaves = dict(leaves(old)), dict(leaves(new))
    for key in old_leaves | new_leaves:
        before, after = old_leaves.get(key, "nothing"), new_leaves.get(key, "nothing")
        if before != after and key not in FREE and not (_spans(key) and not _scheduled(key, new)):
            yield f"{key}: {before} there, {after} asked for"


def leaves(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walks a configuration down to its plain values, as (dotted key, value)."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, config


def _spans(key: str) -> bool:
    return key.rpartition(".")[2] == HORIZON


def _scheduled(key: str, config: Mapping) -> bool:
    """Tells whether the optimizer that this horizon belongs to has a schedule that reads it."""
    node: Any = config
    for name in key.split(".")[:-1]:
        node = node.get(name) if isinstance(node, Mapping) else None
    schedule = node.get("schedule") if isinstance(node, Mapping) else None
    schedule = config["schedule"] if schedule == "@schedule" else schedule
    return isinstance(schedule, Mapping) and schedule["_target_"] != "runner.schedules.Constant"


def now() -> str:
    """Gives the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text)
    draft.replace(path)
