import json

import pytest
from small_runs import COMMANDS

from runner.cli import main

DIVERGING = [*COMMANDS["supervised"], "optimizer.learning_rate=1e38", "figures=false"]


def failed(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


@pytest.mark.parametrize(
    "more", [[], ["optimizer=sgd", "optimizer.momentum=null", "optimizer.learning_rate=1e15"]]
)
def test_a_replay_names_the_step_and_the_first_operation_that_went_wrong(tmp_path, capsys, more):
    command = [word for word in DIVERGING if not more or "learning_rate" not in word]
    assert failed([*command, *more, f"hydra.run.dir={tmp_path}/run"]) == 5
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["bad_step"] > 1
    capsys.readouterr()
    main(["replay", f"{tmp_path}/run"])
    found, compiled, unjitted = capsys.readouterr().out.splitlines()
    assert found.startswith("step ")
    assert "is not finite" in found
    assert compiled.startswith("compiled: ")
    assert "everything is finite" not in compiled
    assert "encountered in" in unjitted
    assert ".py, line" in unjitted


def test_a_run_that_was_always_finite_has_nothing_to_replay(runs, capsys):
    assert failed(["replay", str(runs / "supervised")]) == 2
    assert "ended at no step that was not finite" in capsys.readouterr().err


def test_the_status_shows_why_a_run_ended_and_how_to_resume_it(tmp_path, capsys):
    failed([*DIVERGING, f"hydra.run.dir={tmp_path}/run"])
    capsys.readouterr()
    main(["status", f"{tmp_path}/run"])
    output = capsys.readouterr().out
    for what in (
        "failed",
        "loss is",
        "first step that was not finite",
        f"resume by: runner resume {tmp_path}/run",
    ):
        assert what in output
