"""The list of the runs below a folder, and its filters."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from runner.cli import main
from runner.storage.run_directory import Directory

SAVED = Path(__file__).parents[1] / "fixtures" / "runs"


@pytest.fixture
def named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = {
        "a": ("iris", {"name": "first try", "tags": ["base", "paper"], "notes": "as in the article"}),
        "b": ("iris", {"name": "second try", "tags": ["base"]}),
        "c": ("csv", {}),
        "d": ("gan", {}),
    }
    for place, (run, own) in labels.items():
        shutil.copytree(SAVED / run, f"all/{place}")
        path = Path("all", place, "config.yaml")
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | own))


def listed(capsys, *words):
    capsys.readouterr()
    main(["ls", "all", *words, "--json"])
    return [run["run"].removeprefix("all/") for run in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ([], "abcd"),
        (["name=first try"], "a"),
        (["name=*try"], "ab"),
        (["tags=base"], "ab"),
        (["tags=paper"], "a"),
        (["tags=pap"], ""),
        (["status=stopped"], "d"),
        (["scenario=regression"], "c"),
        (["dataset=iris", "status=finished"], "ab"),
        (["scenario.net=mlp"], "abc"),
        (["scenario.optimizer.learning_rate=1e-3"], "abc"),
        (["steps=4"], "abcd"),
        (["figures=false"], "abcd"),
        (["figures=0"], ""),
        (["ensemble=null", "loop.best=energy_distance"], "d"),
    ],
)
def test_a_filter_lists_the_runs_with_that_label_status_choice_or_setting(words, places, named, capsys):
    assert "".join(listed(capsys, *words)) == places


def test_names_and_tags_are_columns_if_a_run_has_any(named, capsys):
    main(["ls", "all"])
    shown = capsys.readouterr().out
    assert "first try" in shown
    assert "base, paper" in shown
    main(["ls", "all", "scenario=gan"])
    assert "tags" not in capsys.readouterr().out


def test_a_filter_that_no_run_knows_is_named(named, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["ls", "all", "optimiser=adam"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: optimiser: no run below all has such a setting\n"


@pytest.mark.parametrize("run", ["a", "d"])  # finished and stopped
def test_labels_of_a_run_change_by_resume_and_stay_if_it_says_none(run, named, capsys):
    main(["resume", f"all/{run}", "tags=[final]", "name=third", "notes=kept"])
    main(["resume", f"all/{run}", "notes="])
    config = Directory(f"all/{run}").config
    assert [config[key] for key in ("name", "tags", "notes")] == ["third", ["final"], ""]
