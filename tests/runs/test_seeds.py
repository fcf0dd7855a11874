import json

import numpy as np
import pytest
from small_runs import COMMANDS

from runner.cli import main
from runner.runs.seeds import spread
from runner.storage.run_directory import Directory

COMMAND = [*COMMANDS["supervised"], "figures=false"]
LONGER = [word for word in COMMAND if not word.startswith("steps=")] + ["steps=12"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeds")
    main([*COMMANDS["supervised"], "seeds=3", "seed=5", f"hydra.run.dir={path}"])
    return path


def test_each_member_is_the_run_of_its_own_seed(job, tmp_path):
    for number in range(3):
        alone = tmp_path / str(number)
        main([*COMMANDS["supervised"], f"seed={5 + number}", f"hydra.run.dir={alone}"])
        member = job / "members" / str(number)
        assert (member / "metrics.jsonl").read_bytes() == (alone / "metrics.jsonl").read_bytes()
        assert (member / "config.yaml").read_bytes() == (alone / "config.yaml").read_bytes()


def test_the_record_of_the_job_is_the_spread_of_its_members(job):
    members = [Directory(job / "members" / str(number)).records for number in range(3)]
    last = [rows[-1]["validation/loss"] for rows in members]
    last_record = Directory(job).records[-1]
    assert last_record["validation/loss/mean"] == np.mean(last)
    assert last_record["validation/loss/std"] == np.std(last, ddof=1)
    assert (last_record["validation/loss/min"], last_record["validation/loss/max"]) == (min(last), max(last))
    assert (job / "figures" / "spread.png").is_file()
    assert Directory(job).info.status == "finished"


def test_what_needs_one_run_asks_for_a_member(job, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(job)])
    assert f"holds 3 runs, one of each seed; name one, such as {job}/members/0" in capsys.readouterr().err
    main(["evaluate", f"{job}/members/0"])
    main(["status", str(job)])
    assert "status: finished" in capsys.readouterr().out


def test_figures_of_a_run_with_several_seeds_draw_their_spread(job):
    (job / "figures" / "spread.png").unlink()
    main(["figures", str(job)])
    assert (job / "figures" / "spread.png").is_file()


def test_more_steps_make_every_member_go_on(job, tmp_path, capsys):
    main([*COMMAND, "seeds=2", f"hydra.run.dir={tmp_path}/job"])
    main(["resume", f"{tmp_path}/job", "steps=12"])
    assert Directory(tmp_path / "job").info.step == 12
    main([*LONGER, "seed=1", f"hydra.run.dir={tmp_path}/alone"])
    member = tmp_path / "job" / "members" / "1"
    assert Directory(member).records[-1] == Directory(tmp_path / "alone").records[-1]
    assert "± " in capsys.readouterr().out


def test_several_seeds_are_listed_as_one_run(tmp_path, capsys):
    main([*COMMAND, "seeds=2", "seed=3", f"hydra.run.dir={tmp_path}/job"])
    capsys.readouterr()
    main(["ls", str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "job" in line]
    assert "3 to 4" in line


def test_a_seed_that_fails_leaves_the_others_and_is_reported(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*COMMAND, "seeds=2", "optimizer.learning_rate=1e38", f"hydra.run.dir={tmp_path}/job"])
    assert stopped.value.code == 5
    assert json.loads((tmp_path / "job" / "run.json").read_text())["status"] == "failed"
    output = capsys.readouterr()
    assert "seed=1" in output.out
    assert output.err == "error: 2 of 2 runs failed, for the reasons above\n"


@pytest.mark.parametrize(
    ("seeds", "message"), [("0", "seeds: 0 is less than 1"), ("two", "not a whole number")]
)
def test_no_seeds_at_all_are_refused(seeds, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*COMMAND, f"seeds={seeds}"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_spread_is_recorded_where_every_member_has_a_value():
    rows = [[{"step": 1, "a": 1.0, "b": 2.0}], [{"step": 1, "a": 3.0, "text": "raw"}, {"step": 2, "a": 0.0}]]
    assert list(spread(rows)) == [{"step": 1, "a/mean": 2.0, "a/std": 2.0**0.5, "a/min": 1.0, "a/max": 3.0}]
