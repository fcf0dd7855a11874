"""Runs that repeat a saved one with changes, by `from=RUN`."""

import shutil
from pathlib import Path

import pytest

from runner.cli import main
from runner.compose.tree import leaves
from runner.storage.differences import differences
from runner.storage.run_directory import Directory

SAVED = Path(__file__).parents[1] / "fixtures" / "runs"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED / "iris", "lr=1,seed=2")
    return Directory("lr=1,seed=2")


def changed(run, *words):
    main([f"from={run.path}", *words, "hydra.run.dir=new"])
    return {
        key: new for key, new in leaves(Directory("new").config) if dict(leaves(run.config)).get(key) != new
    }


def test_a_run_is_repeated_with_its_settings_and_without_its_labels(run):
    (run.path / "config.yaml").write_text((run.path / "config.yaml").read_text() + "name: mine\n")
    assert changed(run) == {"name": None}
    assert list(differences(run.config, Directory("new").config)) == []


def test_a_setting_and_a_part_are_changed(run):
    assert changed(run, "optimizer=sgd", "optimizer.momentum=0.5", "name=second") == {
        "name": "second",
        "optimizer._target_": "runner.optimizers.sgd",
        "optimizer.learning_rate": 0.1,
        "optimizer.momentum": 0.5,
        "optimizer.nesterov": False,
    }


def test_what_was_as_long_as_the_run_follows_its_steps(run):
    assert changed(run, "steps=3") == {"steps": 3, "loop.steps": 3, "optimizer.horizon": 3.0}


def test_a_sweep_repeats_a_run(run):
    main(["-m", f"from={run.path}", "optimizer.b1=0.5,0.8", "hydra.sweep.dir=sweep"])
    configs = [Directory(f"sweep/{job}").config for job in range(2)]
    assert [config["optimizer"]["b1"] for config in configs] == [0.5, 0.8]
    assert [config["net"] for config in configs] == [run.config["net"]] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["from=nothing"], "holds no run"),
        (["from=lr=1,seed=2", "from=b"], "name the directory of one run"),
        (["from=lr=1,seed=2", "scenario=gan"], "scenario=gan: sets many parts, and so does from="),
        (["from=lr=1,seed=2", "net.hidden=3"], "unknown setting net.hidden; did you mean hidden_sizes?"),
    ],
)
def test_what_cannot_be_repeated_is_refused_before_anything_is_written(words, message, run, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "hydra.run.dir=new"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not Path("new").exists()


def test_a_foreign_run_is_repeated_only_if_it_names_installed_parts(run, capsys):
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("runner.nets.mlp", "os.system"))
    with pytest.raises(SystemExit):
        main([f"from={run.path}", "hydra.run.dir=new"])
    assert "'os.system' is not an installed part" in capsys.readouterr().err
