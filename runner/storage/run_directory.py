"""Run directories: their configuration, run info and records, and whether a run may use them."""

import dataclasses
import errno
import logging
import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from runner.compose.checks import LABELS, check, complete
from runner.compose.paths import located
from runner.compose.tree import leaves
from runner.compose.trust import read_plain, refuse_code, refuse_linked, refuse_links, trusts_all
from runner.errors import Occupied, Stopped
from runner.process import held
from runner.process.files import drafts, make_folder, overwrite, read_lines, replace
from runner.storage import lock
from runner.storage.differences import differences
from runner.storage.run_info import NAME as RUN_INFO
from runner.storage.run_info import RunInfo, is_number, read_record

log = logging.getLogger()
_updating = threading.Lock()  # the thread that saves checkpoints updates the run info, too

FULL = (errno.ENOSPC, errno.EDQUOT)  # no space, or no inode, for a new file
CONFIG, RECORDS = "config.yaml", "metrics.jsonl"
READ = (CONFIG, RUN_INFO, RECORDS, lock.NAME)  # what a command reads that only describes a run
NOT_FINITE = {"NaN", "Infinity", "-Infinity"}  # of a record, in which JSON has no such numbers
WEIGHTS = "validation/weights"  # the one name in a record whose value is a text
VALUES = 10_000_000  # in the records of a run that are read into memory
SHOWN = 8  # settings that an error message lists


class Directory:
    """A run directory.

    Args:
        path: the path of the directory, which need not exist.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).absolute()

    @property
    def is_run(self) -> bool:
        """Whether the directory holds a run."""
        return os.path.isfile(self.path / CONFIG)  # false also for a path that cannot exist

    @property
    def config(self) -> dict:
        """The resolved and completed configuration of the run; raises Untrusted if it is not plain data."""
        config = complete(read_plain(self.path / CONFIG))
        folder = None
        with suppress(ValueError):  # a damaged run info is reported by what needs it
            folder = self.info.folder
        return located(config, folder)

    @property
    def info(self) -> RunInfo:
        """The run info: status, versions, device, data, and how the run ended."""
        return RunInfo.read(self.path)

    @property
    def resume_command(self) -> str:
        """The command that resumes the run."""
        return shlex.join(["runner", "resume", str(self.path)])

    @property
    def records(self) -> list[dict]:
        """The rows of `metrics.jsonl`; raises ValueError if one is damaged, or if they do not fit into memory."""
        records, values = [], 0
        for record in self.rows():
            records.append(record)
            values += len(record)
            if values > VALUES:
                raise ValueError(f"{self.path / RECORDS}: has more than {VALUES} values, too many to be read")
        return records

    def rows(self) -> Iterator[dict]:
        """Yields the rows of `metrics.jsonl`, without a last one that is incomplete: being written, or cut by a kill.

        Raises:
            ValueError: a row is damaged, or its step or a value is not a number.
        """
        path = self.path / RECORDS
        for number, line in enumerate(read_lines(path) if path.exists() else (), 1):
            record = read_record(line, f"{path}: line {number}")
            for name, value in record.items():
                is_text = isinstance(value, str) and (value in NOT_FINITE or name == WEIGHTS)
                if not (is_text or is_number(value)):
                    raise ValueError(f"{path}: line {number}: {name!r:.100} is not a number; restore a copy")
            if type(record.get("step")) is not int:
                raise ValueError(f"{path}: line {number}: has no step; restore a copy")
            yield record

    def described(self) -> dict:
        """Returns the configuration, for a command that builds nothing from it and only describes the run.

        Raises:
            ValueError: the directory holds no run, or what describes it leads out of it or is not plain data.
        """
        self.refuse_no_run()
        refuse_linked(*(self.path / name for name in READ))
        return self.config

    def vetted(self, trust_code: bool = False) -> dict:
        """Returns the configuration, checked so that parts may be built from it; nothing else is read before.

        Args:
            trust_code: whether the configuration may name any code, and the directory may hold links.

        Raises:
            ValueError: the directory holds no run, or one that is not trusted.
        """
        self.refuse_no_run()
        if trust_code or trusts_all():
            return self.config
        refuse_links(self.path)
        config = self.config
        refuse_code(config)
        refuse_code(check(config, set(config)))  # which makes parts of texts that name functions
        return config

    def refuse_no_run(self) -> None:
        """Raises ValueError if the directory holds no run."""
        if not self.is_run:
            raise ValueError(
                f"{self.path}: holds no run (no config.yaml); `runner ls` lists those below a folder"
            )

    def claim(self, config: Mapping) -> None:
        """Checks that a run with the given configuration may use the directory; writes nothing.

        Raises:
            Occupied: the path is a file or not writable, or holds other files or a run of another configuration.
        """
        try:
            existing = next(path for path in (self.path, *self.path.parents) if path.exists())
        except (OSError, ValueError) as error:  # a name that is too long, or not valid
            raise Occupied(f"run directory {self.path}: {getattr(error, 'strerror', error)}") from error
        if not existing.is_dir():
            raise Occupied(f"run directory {self.path}: {existing} is a file; take another hydra.run.dir")
        if not os.access(existing, os.W_OK):
            raise Occupied(
                f"run directory {self.path}: {existing} is not writable; take another hydra.run.dir"
            )
        # A run that is killed before it has written its configuration leaves no more than this.
        begun = {self.path / lock.NAME, self.path / RUN_INFO, *self._drafts()}
        if existing != self.path or {*self.path.iterdir()} <= begun:
            return
        if not self.is_run:
            raise Occupied(
                f"run directory {self.path}: holds files, but no run; take another hydra.run.dir, or empty it"
            )
        changes = [
            change for key, change in differences(self.config, config) if key not in (config["allow"] or ())
        ]
        if changes:
            raise Occupied(
                f"run directory {self.path}: holds a run of another configuration ({_listed(changes)});"
                " take another hydra.run.dir, or let it continue with them: allow=[KEY,...]"
            )

    def refuse_other_data(self, now: Mapping, config: Mapping) -> list[str]:
        """Checks that the data are those with which the run began.

        Args:
            now: the fields of `provenance.of` for the current data.
            config: the configuration of the run.

        Returns:
            Other changes: those that may change the bits of the run, and those that `allow` names.

        Raises:
            Occupied: the digest of the data differs, and `allow` does not name `data`.
        """
        before, allowed = self.info, config["allow"] or ()
        if before.data != now["data"] and "data" not in allowed:
            raise Occupied(
                f"run directory {self.path}: its data were others (digest {(before.data or 'none')[:8]} there,"
                f" {now['data'][:8]} now); restore them, or continue with these: allow=[data]"
            )
        changes = [f"{change} (allowed)" for _, change in differences(self.config, config)]
        for key in ("versions", "device", "processors", "data"):
            old, new = dict(leaves(getattr(before, key), key)), dict(leaves(now[key], key))
            changes += [
                f"{name}: {old.get(name)} there, {new[name]} now: bits will differ"
                for name in new
                if old.get(name) != new[name]
            ]
        return changes

    def begin(self, config: Mapping, **fields: Any) -> None:
        """Creates the directory, and writes the configuration and the run info of a run that starts.

        Args:
            config: the resolved and checked configuration.
            fields: fields of `RunInfo`.
        """
        try:
            make_folder(self.path)
        except OSError as error:
            raise OSError(error.errno, f"run directory: {error.strerror}", str(self.path)) from error
        for draft in self._drafts():  # nothing else writes these files while the lock is held
            draft.unlink(missing_ok=True)
        plain = self._plain(config)
        self.update_info(
            **fields,
            status="running",
            started=utc(),
            ended=None,
            error=None,
            bad_step=None,
            goes_on=self.resume_command,
        )
        replace(self.path / CONFIG, plain)  # last, because it makes the directory a run

    def relabel(self, config: Mapping) -> None:
        """Writes the labels of a configuration to that of a finished run, if they are others."""
        if any(config[key] not in (None, self.config[key]) for key in LABELS):
            replace(self.path / CONFIG, self._plain(config))

    def _plain(self, config: Mapping) -> bytes:
        """Returns the content of the configuration's file, in which labels that are null stay as they were."""
        saved = self.config if self.is_run else {}
        kept = {key: saved[key] for key in LABELS if config[key] is None and key in saved}
        # `allow` is for one start only
        return yaml.safe_dump({**config, **kept, "allow": None}, sort_keys=False).encode()

    def _drafts(self) -> list[Path]:
        return [draft for name in (CONFIG, RUN_INFO) for draft in drafts(self.path / name)]

    @contextmanager
    def recording_the_end(self) -> Iterator[None]:
        """Records in the run info how the run ended, with or without an error."""
        try:
            yield
            self.update_info(status="finished", ended=utc())
        except BaseException as error:
            status = "stopped" if isinstance(error, Stopped | KeyboardInterrupt | SystemExit) else "failed"
            message = f"{type(error).__name__}: {error}"
            with suppress(OSError):  # the error that ended the run matters more
                self.update_info(
                    status=status, ended=utc(), error=message, bad_step=getattr(error, "step", None)
                )
            if status == "failed":
                log.error("ended by", exc_info=True)  # for runner.log; the terminal gets one line
            raise

    def update_info(self, **fields: Any) -> None:
        """Changes fields of the run info, in one atomic write."""
        with _updating:
            held.refuse_gone(self.path)
            path = self.path / RUN_INFO
            if not path.is_file() and "status" not in fields:
                raise OSError(f"{path}: is gone: it was deleted while the run trained; start again")
            info = dataclasses.replace(self.info, **fields) if path.is_file() else RunInfo(**fields)
            try:
                replace(path, info.to_json())
            except OSError as error:
                if error.errno not in FULL:
                    raise
                overwrite(path, info.to_json())


def below(folder: str | Path) -> Iterator[Path]:
    """Yields the run directories below a folder; follows no links, and skips folders that cannot be read."""
    folders = [Path(folder)]
    while folders:
        path = folders.pop()
        try:
            entries = list(os.scandir(path))
        except OSError:  # it may have been deleted in the meantime
            continue
        folders += [path / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        if {CONFIG, RUN_INFO} <= {entry.name for entry in entries}:
            yield path


def _listed(changes: list[str]) -> str:
    more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; ".join(changes[:SHOWN]) + more


def utc() -> str:
    """Returns the current time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
