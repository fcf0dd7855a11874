"""The configuration and the run information in a run directory, and whether a run may use it."""

import dataclasses
import logging
import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from runner.compose.checks import complete, with_defaults
from runner.compose.signatures import signature
from runner.compose.trust import read_plain, refuse_code, refuse_links
from runner.errors import Occupied, Stopped
from runner.process.files import replace
from runner.storage import lock
from runner.storage.run_info import NAME as RUN_INFO
from runner.storage.run_info import RunInfo, read_record

log = logging.getLogger()
_updating = threading.Lock()  # the thread that saves updates it, too

FREE = {
    "steps",
    "figures",
    "allow",
    "traceback",
    "loop.steps",
    "loop.log_every",
    "loop.evaluate_every",
    "loop.save_every",
    "loop.patience",
}
BEGUN = {lock.NAME, RUN_INFO, f".{RUN_INFO}.tmp", ".config.yaml.tmp"}  # all that a run killed at once leaves
SHOWN = 8  # settings that are told where a run is refused
PATHS = {"path", "run", "init_from"}  # names of settings that are paths
HORIZON = "horizon"  # of an optimizer: the steps that its schedule spans


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
        """The run's resolved and completed configuration; raises Untrusted where it is more than plain data."""
        return complete(read_plain(self.path / "config.yaml"))

    @property
    def info(self) -> RunInfo:
        """What is known about the run: status, versions, device, data, how it ended."""
        return RunInfo.read(self.path)

    @property
    def records(self) -> list[dict]:
        """The rows of `metrics.jsonl`; a last one that is being written, or was when the run was killed, is left."""
        path = self.path / "metrics.jsonl"
        whole = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
        return [read_record(line, f"{path}: line {number}") for number, line in enumerate(whole, 1)]

    def vetted(self, trust_code: bool = False) -> dict:
        """Gives the configuration, to build from.

        Args:
            trust_code: it may name any code, and the directory may hold links.

        Raises:
            ValueError: it holds no run, or one that is not trusted.
        """
        self.refuse_no_run()
        config = self.config
        if not trust_code:
            refuse_links(self.path)
            refuse_code(config)
        return config

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
        try:
            found = next(path for path in (self.path, *self.path.parents) if path.exists())
        except (OSError, ValueError) as error:  # a name that is too long, or no name at all
            raise Occupied(f"run directory {self.path}: {getattr(error, 'strerror', error)}") from error
        if not found.is_dir():
            raise Occupied(f"run directory {self.path}: {found} is a file; take another hydra.run.dir")
        if not os.access(found, os.W_OK):
            raise Occupied(f"run directory {self.path}: {found} is not writable; take another hydra.run.dir")
        if found != self.path or {entry.name for entry in self.path.iterdir()} <= BEGUN:
            return
        if not self.is_run:
            raise Occupied(
                f"run directory {self.path}: holds files, but no run; take another hydra.run.dir, or empty it"
            )
        changes = [
            told for key, told in differences(self.config, config) if key not in (config["allow"] or ())
        ]
        if changes:
            raise Occupied(
                f"run directory {self.path}: holds a run of another configuration ({_some(changes)});"
                " take another hydra.run.dir, or let it go on with them: allow=[KEY,...]"
            )

    def refuse_other_data(self, now: Mapping, config: Mapping) -> list[str]:
        """Checks that the data are those that the run began with.

        Args:
            now: the fields of `provenance.of` for the data as they are now.
            config: of the run.

        Returns:
            What else is not as it was, and so may change the bits of the run, or was allowed to change.

        Raises:
            Occupied: the digest of the data is another, and `allow` does not name it.
        """
        before, allowed = self.info, config["allow"] or ()
        if before.data != now["data"] and "data" not in allowed:
            raise Occupied(
                f"run directory {self.path}: its data were others (digest {(before.data or 'none')[:8]} there,"
                f" {now['data'][:8]} now); bring them back, or go on with these: allow=[data]"
            )
        changes = [f"{told} (allowed)" for _, told in differences(self.config, config)]
        for key in ("versions", "device", "processors", "data"):
            old, new = dict(leaves(getattr(before, key), key)), dict(leaves(now[key], key))
            changes += [
                f"{name}: {old.get(name)} there, {new[name]} now: bits will differ"
                for name in new
                if old.get(name) != new[name]
            ]
        return changes

    def begin(self, config: Mapping, **fields: Any) -> None:
        """Creates the directory, and writes the configuration and the run information of a run that starts.

        Args:
            config: resolved and checked.
            fields: of `RunInfo`.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f"run directory: {error.strerror}", str(self.path)) from error
        plain = yaml.safe_dump({**config, "allow": None}, sort_keys=False)  # it was for this once
        goes_on = shlex.join(["runner", "resume", str(self.path)])
        self.update_info(
            **fields, status="running", started=utc(), ended=None, error=None, bad_step=None, goes_on=goes_on
        )
        replace(self.path / "config.yaml", plain.encode())  # last, for it makes the directory a run

    @contextmanager
    def recording_the_end(self) -> Iterator[None]:
        """Records in the run information how the run ended, whatever happened."""
        try:
            yield
            self.update_info(status="finished", ended=utc())
        except BaseException as error:
            status = "stopped" if isinstance(error, Stopped | KeyboardInterrupt | SystemExit) else "failed"
            message = f"{type(error).__name__}: {error}"
            self.update_info(status=status, ended=utc(), error=message, bad_step=getattr(error, "step", None))
            if status == "failed":
                log.error("ended by", exc_info=True)  # for runner.log; the terminal gets one line
            raise

    def update_info(self, **fields: Any) -> None:
        """Changes fields of the run information, in one atomic write."""
        with _updating:
            known = (self.path / RUN_INFO).is_file()
            info = dataclasses.replace(self.info, **fields) if known else RunInfo(**fields)
            replace(self.path / RUN_INFO, info.to_json())


def below(folder: str | Path) -> Iterator[Path]:
    """Finds the run directories below a folder; what their writers delete meanwhile is passed over."""
    for path, _, files in os.walk(folder):
        if {"config.yaml", RUN_INFO} <= {*files}:
            yield Path(path)


def differences(old: Mapping, new: Mapping) -> Iterator[tuple[str, str]]:
    """Yields the settings in which two configurations are different runs, each with "key: old there, new here"."""
    old_leaves, new_leaves = (dict(leaves(with_defaults(config))) for config in (old, new))
    for key in dict(leaves(old)) | dict(leaves(new)):  # what neither names is equal by default
        before, after = old_leaves.get(key, "nothing"), new_leaves.get(key, "nothing")
        if _comparable(key, before) == _comparable(key, after) or key in FREE or _is_unread_horizon(key, new):
            continue
        yield key, f"{key}: {before} there, {after} asked for"


def _comparable(key: str, value: Any) -> Any:
    is_path = isinstance(value, str) and key.rpartition(".")[2] in PATHS
    return str(Path(value).resolve()) if is_path else value


def leaves(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walks a configuration down to its plain values, as (dotted key, value)."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, config


def _is_unread_horizon(key: str, config: Mapping) -> bool:
    """Returns whether this is the horizon of an optimizer whose schedule does not need it."""
    *path, name = key.split(".")
    node: Any = config
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    if name != HORIZON or not isinstance(node, Mapping) or "schedule" not in node:
        return False
    schedule = config["schedule"] if node["schedule"] == "@schedule" else node["schedule"]
    read = signature(schedule["_target_"]) if isinstance(schedule, Mapping) else None
    return not isinstance(schedule, Mapping) or not (
        read is None or read.constants.get("needs_horizon", True)
    )


def _some(changes: list[str]) -> str:
    more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; ".join(changes[:SHOWN]) + more


def utc() -> str:
    """Returns the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
