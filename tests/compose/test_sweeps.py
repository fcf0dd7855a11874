"""The jobs of a sweep: each is the run that its settings would be alone, in all of Hydra's grammar."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from small_runs import COMMANDS

from runner.cli import main
from runner.commands.launch import refuse_direction
from runner.compose.choices import loader_of, opened
from runner.compose.command_line import compose
from runner.compose.sweeps import composed, texts
from runner.errors import ConfigError
from runner.storage.run_directory import Directory

EXPERIMENT = """\
# @package _global_
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      seed: 5,6
      net.dropout: 0.1
"""


def sweep(*overrides, folders=()):
    with opened(folders) as hydra:
        return composed(overrides, hydra)


def test_a_sweep_is_the_product_of_its_values():
    _, configs = sweep("net=mlp,cnn", "seed=range(2)")
    assert list(configs) == [(f"net={net}", f"seed={seed}") for net in ("mlp", "cnn") for seed in (0, 1)]


def test_a_job_that_is_named_twice_is_refused():
    with pytest.raises(ConfigError, match=r"^jobs 0 and 2 of the sweep are the same, seed=3; name it once$"):
        sweep("seed=3,4,3")


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=3,4", "dataset.split_seed=${seed}"],
        ["dataset=csv", "dataset.target=y", "dataset.path='data,${seed}.csv'", "seed=3,4"],
        ["schedule=cosine,constant", "optimizer.b1=${optimizer.b2}", "optimizer.b2=0.5,0.7"],
    ],
)
def test_each_job_of_a_sweep_equals_the_run_that_its_settings_give_alone(overrides):
    master, configs = sweep(*overrides)
    assert texts(master.hydra.overrides.task) == overrides
    assert len(configs) in (2, 4)
    for job, config in configs.items():
        assert config == compose(job)


def test_a_setting_that_follows_another_follows_it_in_each_job():
    words = ["figures=false", "steps=1", "hydra.sweep.dir=sweep"]
    main(["-m", *COMMANDS["supervised"][:3], *words, "seed=3,4", "dataset.split_seed=${seed}"])
    runs = [Directory(f"sweep/{job}").config for job in (0, 1)]
    assert [run["dataset"]["split_seed"] for run in runs] == [3, 4]


def test_a_glob_sweeps_over_the_listed_choices():
    _, configs = sweep("net=glob([lin*,*mlp])")
    assert list(configs) == [("net=linear",), ("net=mlp",), ("net=residual_mlp",)]


def test_values_of_the_sweeper_are_swept_and_the_command_line_beats_them(tmp_path):
    assert list(sweep('hydra.sweeper.params={seed:"0,1"}')[1]) == [("seed=0",), ("seed=1",)]
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    _, configs = sweep("experiment=mine", folders=[str(tmp_path)])
    assert [(each["seed"], each["net"]["dropout"]) for each in configs.values()] == [(5, 0.1), (6, 0.1)]
    assert [
        each["seed"] for each in sweep("experiment=mine", "seed=9", folders=[str(tmp_path)])[1].values()
    ] == [9]
    with pytest.raises(SystemExit):
        main(["--config-dir", str(tmp_path), "experiment=mine"])
    assert not Path("outputs").exists()


REFUSED = {
    "-m seed=0,1 seed=2,3": ["seed is given twice (0,1, 2,3)"],
    "-m net=mlp net=cnn seed=0,1": ["net is given twice (mlp, cnn)"],
    "-m net=glob(x*)": ["net=glob(x*)", "no jobs"],
    "-m seed=range(0)": ["seed=range(0)", "no jobs"],
    "-m net=mlp,mpl": ["unknown net mpl", "did you mean mlp?", "job 1"],
    "-m optimizer.learning_rate=interval(0.1,1)": ["optimizer.learning_rate=0.1,1", "hydra/sweeper="],
    "-m hydra.mode=RUN seed=0,1": ["hydra.mode", "-m"],
    "hydra.mode=MULTIRUN": ["hydra.mode", "add -m"],
    "hydra.job.chdir=true": ["hydra.job.chdir", "hydra.run.dir"],
    "-m hydra.job.chdir=true seed=0,1": ["hydra.job.chdir"],
    "hydra.output_subdir=.hydra": ["hydra.output_subdir", "config.yaml"],
    "hydra/job_logging=default": ["hydra.job_logging", "runner.log"],
    'hydra.run.dir="~nobody-of-this-name/x"': ["hydra.run.dir: ~nobody-of-this-name/x", "without ~"],
    "seeds=2 dataset.split_seed=${seed}": ["dataset.split_seed: follows seed", "-m 'seed=range(0,2)'"],
}


@pytest.mark.parametrize(("command", "words"), REFUSED.items())
def test_what_neither_a_run_nor_a_sweep_can_do_is_refused(command, words, refused):
    line = refused(command.split(" "))
    assert all(word in line for word in words), line


def test_a_tilde_is_the_home_of_the_user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/mine")
    with opened([]) as hydra:
        load = loader_of(hydra).load_configuration
        assert load("config", ['hydra.run.dir="~/x"'], "RUN").hydra.run.dir == "/home/of/mine/x"
    assert sweep('hydra.sweep.dir="~/${seed}"', "seed=1,2")[0].hydra.sweep.dir == "/home/of/mine/0"


@pytest.mark.parametrize(
    ("words", "corrected"),
    [
        (["dataset.path=a b=c,"], """say 'dataset.path="a b=c,"'"""),
        (["hydra.run.dir=~/x"], """say 'hydra.run.dir="~/x"'"""),
        (["dataset.path=file(1).csv"], """say 'dataset.path="file(1).csv"'"""),
        (["net.hidden_sizes=[1,", "2,", "3]", "seed=1"], "say 'net.hidden_sizes=[1, 2, 3]'"),
        (["dataset.path=my", "file.csv"], "say 'dataset.path=my file.csv'"),
        (["dataset.path=a,b.csv"], """add -m, or say 'dataset.path="a,b.csv"' if it is one"""),
        (['dataset.target=a"b:'], r"""say 'dataset.target="a\"b:"'"""),
        (["seed=[1"], "they are key=value, quoted if a value is not plain"),
    ],
)
def test_a_setting_that_cannot_be_read_is_shown_as_it_should_be_written(words, corrected):
    with pytest.raises(ConfigError) as refusal:
        compose(words)
    assert str(refusal.value).endswith(corrected)


@pytest.mark.parametrize(
    ("mode", "asked", "refused"),
    [
        ("max", "minimize", True),
        ("min", "Direction.maximize", True),
        ("max", "maximize", False),
        ("max", ["minimize", "maximize"], False),
        (None, "minimize", False),
    ],
)
def test_a_sweeper_that_optimizes_in_the_other_direction_is_refused(mode, asked, refused):
    loop = {"best": "accuracy", "mode": mode}
    with pytest.raises(ConfigError, match=r"^hydra.sweeper.direction: ") if refused else nullcontext():
        refuse_direction(loop, asked)
