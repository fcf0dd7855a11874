import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Gives a working directory with a run, a folder of runs, and a folder whose name is a command."""
    for name in ("runs/ring", "runs/rates/0", "$(touch harmed)"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/ring", "runs/rates/0"):
        (tmp_path / name / "config.yaml").write_text("seed: 0\n")
        (tmp_path / name / "run.json").write_text(json.dumps({"status": "finished"}))
    (tmp_path / "houses.csv").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def completed(folder, capsys, monkeypatch):
    """Gives a function that returns the candidates for a line."""

    def completed(line, shell="bash"):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        main(["-sc", f"query={shell}"])
        printed = capsys.readouterr()
        assert not printed.err
        separator = "\n" if shell == "fish" else " "
        return [each for each in printed.out.removesuffix("\n").split(separator) if each]

    return completed


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("runner sh", ["show"]),
        ("runner ev", ["evaluate", "evaluation.", "evaluation="]),
        ("runner show runs/r", ["runs/rates/", "runs/ring"]),
        ("runner show r", ["runs/"]),
        ("runner diff runs/ring runs/rates/", ["runs/rates/0"]),
        ("runner predict runs/ring h", ["houses.csv"]),
        ("runner parts opt", ["optimizer"]),
        ("runner evaluate runs/ring split=", ["split=test", "split=train", "split=validation"]),
        ("runner evaluate runs/ring s", ["split=", "step="]),
        ("runner resume runs/ring trust_code=", ["trust_code=false", "trust_code=true"]),
        ("runner status runs/ring --j", ["--json"]),
        ("runner check net=ml", ["net=mlp"]),
        ("runner net=ml", ["net=mlp"]),
        ("runner -m net=mlp figures=", ["figures=false", "figures=true"]),
        ("runner nothing here 'and", []),
        ("runner --unknown -c", []),
        ("runner show missing/", []),
        ("runner show $", []),
    ],
)
def test_verbs_runs_settings_and_values_are_completed(completed, line, candidates):
    assert completed(line) == candidates


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_same(completed, shell):
    assert completed("runner show runs/r", shell) == ["runs/rates/", "runs/ring"]


def test_bash_completes_without_importing_jax_or_running_what_a_folder_is_called(folder):
    (folder / "bin").mkdir()
    program = folder / "bin/runner"
    code = "import sys; from runner.cli import main; main(); assert 'jax' not in sys.modules"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    script = """eval "$(runner -sc install=bash)"
    complete -p runner
    for COMP_LINE in 'runner show runs/r' 'runner diff '; do
        words=($COMP_LINE); COMP_POINT=${#COMP_LINE}; COMP_CWORD=$((${#words[@]} - 1))
        [[ $COMP_LINE == *' ' ]] && COMP_CWORD=${#words[@]}
        hydra_bash_completion 2>errors
        echo "${COMPREPLY[@]}"
    done"""
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    shown = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    installed, runs, folders = shown.stdout.splitlines()
    assert "hydra_bash_completion runner" in installed
    assert runs == "runs/rates/ runs/ring"
    assert {"bin/", "runs/", "--help"} <= {*folders.split()}
    assert not Path("harmed").exists()
    assert not Path("errors").read_text()
