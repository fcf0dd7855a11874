"""The best run of a folder."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from runner.cli import main

SAVED = Path(__file__).parents[1] / "fixtures" / "runs"


def test_the_best_run_is_shown_with_the_command_that_repeats_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for place, value in (("a b", -3.0), ("c", 9.0)):
        shutil.copytree(SAVED / "iris", f"all/{place}")
        with open(f"all/{place}/metrics.jsonl", "a") as file:
            file.write(json.dumps({"step": 5, "validation/loss": value}) + "\n")
    main(["best", "all"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["run: all/a b", "validation/loss: -3 at step 5, the min of 2 runs"]
    command = shlex.split(shown[-1].removeprefix("repeat by: "))
    main([*command[1:], "steps=1", "hydra.run.dir=new"])
    assert Path("new/config.yaml").is_file()
    capsys.readouterr()
    main(["best", "all", "mode=max", "--json"])
    best = json.loads(capsys.readouterr().out)
    assert (best["run"], best["mode"]) == ("all/c", "max")


def test_runs_without_a_value_have_no_best(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED / "gan", "all/gan")
    Path("all/gan/metrics.jsonl").write_text("")
    with pytest.raises(SystemExit):
        main(["best", "all"])
    assert "no run has a value by which runs compare" in capsys.readouterr().err
