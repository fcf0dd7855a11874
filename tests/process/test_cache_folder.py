"""The folder of compiled programs: used only if nobody else can have written to it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import COMMANDS
from test_layout import ROOT

from runner.process.compile_cache import keep_compiled_programs

CODE = "from runner.cli import command; command()"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that RUNNER_CACHE names, which does not exist yet."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def used():
    keep_compiled_programs()
    return os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_folder_is_only_for_its_user(cache):
    before = os.umask(0)
    try:
        folder = Path(used())
    finally:
        os.umask(before)
    assert folder.parent == cache
    assert (mode(cache), mode(folder)) == (0o700, 0o700)


def test_a_folder_that_others_may_read_is_used_and_closed_to_them(cache):
    folder = Path(used())
    folder.chmod(0o755)
    assert used() == str(folder)
    assert mode(folder) == 0o700


@pytest.mark.parametrize("bits", [0o770, 0o702, 0o1777])
@pytest.mark.parametrize("which", ["parent", "folder"])
def test_a_folder_that_others_may_write_to_is_not_used(cache, bits, which, capsys):
    folder = Path(used())
    path = folder if which == "folder" else cache
    path.chmod(bits)
    assert used() is None
    warning = f"warning: compiled programs are not cached: {path} is writable by others; "
    assert capsys.readouterr().err == f"{warning}remove it, or name another folder by RUNNER_CACHE\n"


def test_a_folder_of_another_user_is_not_used(cache, monkeypatch, capsys):
    folder = Path(used())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert used() is None
    assert f"{folder.parent} belongs to another user" in capsys.readouterr().err


def plant_a_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


PLANTS = {
    "link": lambda path: path.symlink_to("/dev/null"),
    "dangling link": lambda path: path.symlink_to("nothing"),
    "FIFO": os.mkfifo,
    "folder": os.mkdir,
    "socket": plant_a_socket,
}


@pytest.mark.parametrize("kind", PLANTS)
def test_a_folder_with_an_entry_that_is_not_a_file_is_not_used(cache, kind, capsys, monkeypatch):
    folder = Path(used())
    monkeypatch.chdir(folder)
    PLANTS[kind](Path("jit_f-cache"))
    assert used() is None
    assert f"{folder}/jit_f-cache is not a file; remove it" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_costs_no_warning(cache, capsys):
    cache.write_text("", encoding="utf-8")
    assert used() is None
    assert capsys.readouterr().err == ""


def damage(entry, how):
    content = bytearray(entry.read_bytes())
    if how == 0:
        content[len(content) // 2] ^= 1
    entry.write_bytes([content, content[: len(content) // 2], b""][how])


def test_damaged_programs_are_ignored_and_change_no_result(cache, tmp_path):
    words = [*COMMANDS["supervised"], "figures=false"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    records, warnings = [], []
    for run in ("a", "b"):
        command = [sys.executable, "-c", CODE, *words, f"hydra.run.dir={run}"]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
        records.append((tmp_path / run / "metrics.jsonl").read_bytes())
        warnings.append(done.stderr)
        for number, entry in enumerate(sorted(cache.rglob("*-cache"))):
            damage(entry, number % 3)
    assert records[0] == records[1]
    assert warnings[0] == ""
    assert "Error reading persistent compilation cache entry" in warnings[1]
