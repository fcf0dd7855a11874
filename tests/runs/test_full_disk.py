"""A disk without space, or without inodes for new files."""

import errno
import json
import os
from pathlib import Path

import pytest

from runner.cli import main
from runner.process import files
from runner.storage.run_directory import Directory

WORDS = ["experiment=quadratic", "steps=40", "figures=false", "loop.save_every=20", "loop.log_every=10"]


class Full:
    """A file to which nothing can be written."""

    def __init__(self, file, number):
        self._file, self._number = file, number

    def write(self, content):
        raise OSError(self._number, os.strerror(self._number))

    def close(self):
        self._file.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_records_that_cannot_be_written_end_a_run_that_says_where_and_why(
    number, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    create = files.create

    def created(path, buffering=-1):
        file = create(path, buffering)
        return Full(file, number) if path.name == "metrics.jsonl" else file

    monkeypatch.setattr("runner.writers.json_lines.create", created)
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS, "hydra.run.dir=run"])
    assert stopped.value.code == 4
    reason = f"[Errno {number}] {os.strerror(number)}: '{tmp_path}/run/metrics.jsonl'"
    errors = capfd.readouterr().err
    assert errors == f"error: {reason}\n"
    main(["status", "run"])
    assert reason in capfd.readouterr().out


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_without_room_for_new_files_the_run_info_still_says_why(number, tmp_path, monkeypatch):
    own = Directory(tmp_path)
    own.update_info(status="running", device="x" * 999)

    def create(path, buffering=-1):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files, "create", create)
    with pytest.raises(OSError, match="first"), own.recording_the_end():
        raise OSError("first")
    info = json.loads((tmp_path / "run.json").read_text())
    assert (info["status"], info["error"]) == ("failed", "OSError: first")


def test_without_any_way_to_write_the_run_info_the_first_error_is_told(tmp_path, monkeypatch):
    own = Directory(tmp_path)
    own.update_info(status="running")

    def fail(path, content):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("runner.storage.run_directory.replace", fail)
    with pytest.raises(OSError, match="first"), own.recording_the_end():
        raise OSError("first")


def test_nothing_is_overwritten_through_a_link(tmp_path):
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    os.link(tmp_path / "outside", tmp_path / "other name")
    for name in ("link", "other name"):
        with pytest.raises((OSError, ValueError)):
            files.overwrite(tmp_path / name, b"evil")
    assert Path(tmp_path / "outside").read_text() == "mine"
