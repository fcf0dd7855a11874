"""A run directory that is renamed, deleted or replaced while something trains in it."""

import os
import shutil
from pathlib import Path

import pytest

from runner.cli import main
from runner.process import held, signals
from runner.process.files import append, create
from runner.storage.checkpoints import Checkpoints
from runner.storage.lock import Lock
from runner.storage.run_directory import Directory

WORDS = [
    *["experiment=quadratic", "steps=40", "figures=false", "loop.save_every=10", "loop.log_every=10"],
]


def renamed():
    Path("run").rename("moved")


def replaced():
    Path("run").rename("moved")
    shutil.copytree("moved", "run")


def deleted():
    Path("run").rename("moved")  # at once, unlike a deletion while files are created
    shutil.rmtree("moved", ignore_errors=True)


def contents(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize("strike", [renamed, replaced, deleted])
def test_nothing_is_written_to_the_path_of_a_directory_that_is_gone(strike, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))
    with Lock("run"), Checkpoints("run/checkpoints") as checkpoints:
        own = Directory("run")
        own.update_info(status="running")
        strike()
        before = contents("run")
        for write in (
            lambda: create(own.path / "figure.png"),
            lambda: append(own.path / "metrics.jsonl"),
            lambda: own.update_info(saved=3),
            lambda: Lock("run/members/0").__enter__(),
        ):
            with pytest.raises(OSError, match="run directory is gone"):
                write()
        checkpoints.save(3, {}, {})
        with pytest.raises(OSError, match=f"^{tmp_path}/run: the run directory is gone"):
            checkpoints.wait()
        assert contents("run") == before
        assert before or not Path("run").exists()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    held.refuse_gone(own.path)  # once nobody holds it, the path is free


@pytest.mark.parametrize("more", [[], ["seeds=2"], ["ensemble=2"]], ids=["one", "seeds", "ensemble"])
def test_a_renamed_run_ends_with_4_and_resumes_under_its_new_name(more, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def asked():
        if list(Path("run").rglob("checkpoints/10/seal.json")):
            renamed()
        return False

    monkeypatch.setattr(signals, "asked", asked)
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS, *more, "hydra.run.dir=run"])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    output = capsys.readouterr()
    assert (stopped.value.code, Path("run").exists()) == (4, False), output.err
    assert f"error: {tmp_path}/run" in output.err
    assert "the run directory is gone" in output.err
    main(["resume", "moved"])
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize("strike", [deleted, replaced])
def test_a_run_whose_directory_is_deleted_or_replaced_ends_with_4_and_leaves_what_is_there(
    strike, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    before = []

    def asked():
        if not before and Path("run/checkpoints/10/seal.json").exists():
            strike()
            before.append(contents("run"))
        return False

    monkeypatch.setattr(signals, "asked", asked)
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS, "hydra.run.dir=run"])
    assert stopped.value.code == 4
    assert "the run directory is gone" in capsys.readouterr().err
    assert Path("run").exists() == (strike is replaced)
    drafts = lambda files: {
        path for path in files if ".draft-" in str(path)
    }  # Orbax may be in the middle of one
    assert strike is deleted or contents("run").keys() ^ before[0].keys() <= drafts(before[0])


def test_a_save_that_was_writing_leaves_no_folder_at_the_old_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(folder, state, extra):
        renamed()
        folder.mkdir(parents=True)  # as Orbax does
        raise OSError("no such file")

    monkeypatch.setattr("runner.storage.arrays.write", write)
    with Lock("run"), Checkpoints("run/checkpoints") as checkpoints:
        checkpoints.save(3, {}, {})
        with pytest.raises(OSError, match="run directory is gone"):
            checkpoints.wait()
    assert not Path("run").exists()


def test_a_run_info_that_is_deleted_is_named(tmp_path):
    own = Directory(tmp_path)
    own.update_info(status="running")
    (tmp_path / "run.json").unlink()
    with pytest.raises(OSError, match=r"run.json: is gone: it was deleted while the run trained"):
        own.update_info(saved=3)


@pytest.mark.parametrize("words", [["steps=2", "hydra.run.dir=/tmp/none"], ["status", "/tmp"], ["--help"]])
def test_a_working_directory_that_was_deleted_is_named(words, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err
        == "error: the working directory was deleted; change to one that exists (cd)\n"
    )
