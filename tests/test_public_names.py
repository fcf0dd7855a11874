import logging
import signal
import subprocess
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from small_runs import COMMANDS

import runner
from runner import errors

IMPORT = """
import sys
import runner
assert sorted(runner.__all__) == dir(runner)
runner.ConfigError
assert runner.__version__
assert not {"jax", "haiku", "optax", "orbax", "hydra"} & sys.modules.keys()
assert runner.nets.mlp
"""


def test_the_package_is_imported_without_jax_and_lists_its_names():
    subprocess.run([sys.executable, "-c", IMPORT], check=True)


def test_every_public_name_is_there():
    assert all(getattr(runner, name) for name in runner.__all__)
    assert dir(runner) == sorted(runner.__all__)


def test_every_kind_of_error_is_public():
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert kinds <= set(runner.__all__)


def test_train_does_what_the_command_does_and_returns_the_run(tmp_path):
    run = runner.train(COMMANDS["supervised"], tmp_path / "a run's")
    assert isinstance(run, runner.Run)
    assert (run.path, run.info.status, run.step(9)) == (tmp_path / "a run's", "finished", 9)
    before = (run.path / "metrics.jsonl").read_bytes()
    longer = [*(word for word in COMMANDS["supervised"] if word != "steps=9"), "steps=12"]
    assert runner.train(longer, run.path).step(12) == 12
    assert (run.path / "metrics.jsonl").read_bytes().startswith(before.rsplit(b"\n", 2)[0])


def test_train_takes_parts_of_a_folder_of_ones_own(tmp_path):
    (tmp_path / "conf" / "net").mkdir(parents=True)
    (tmp_path / "conf" / "net" / "tiny.yaml").write_text("_target_: runner.nets.linear\n_partial_: true\n")
    run = runner.train(["net=tiny", "dataset=iris", "steps=1", "figures=false"], "run", tmp_path / "conf")
    assert run.config["net"]["_target_"] == "runner.nets.linear"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["stepz=3"], "stepz; did you mean steps"),
        (["net.hidden_sizes=x"], "net.hidden_sizes"),
        (["-m", "seed=0,1"], "-m: train"),
        (["seed=0,1"], "seed=0,1: several values"),
        (["seeds=2"], "seeds: train"),
        (["--cfg", "job"], "--cfg: train"),
        ("steps=3", "settings: 'steps=3' is a string"),
    ],
)
def test_train_refuses_by_an_error_before_anything_is_written(settings, message, tmp_path):
    with pytest.raises(runner.ConfigError, match=message) as refused:
        runner.train(settings)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_train_leaves_signals_logs_and_hydra_to_its_caller(tmp_path):
    logs = [logging.getLogger(), logging.getLogger("runner")]
    state = lambda: (
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        [(list(log.handlers), log.level, log.propagate) for log in logs],
        logging.raiseExceptions,
        list(sys.argv),
        (HydraConfig.instance().cfg, GlobalHydra.instance().hydra),
    )
    HydraConfig.instance().cfg, GlobalHydra.instance().hydra = of_the_caller = object(), object()
    try:
        before = state()
        runner.train(["dataset=iris", "net=linear", "steps=1", "figures=false"], tmp_path / "run")
        assert state() == before
        assert before[-1] == of_the_caller
    finally:
        HydraConfig.instance().cfg = GlobalHydra.instance().hydra = None


@pytest.mark.parametrize("command", [["-c", "from runner.cli import command; command()"], ["-m", "runner"]])
def test_the_version_is_that_of_runner_and_of_jax(command):
    words = [sys.executable, "-X", "importtime", *command, "--version"]
    printed = subprocess.run(words, capture_output=True, text=True, check=True)
    assert printed.stdout.startswith(f"runner {runner.__version__}, JAX ")
    assert len(printed.stdout.splitlines()) == 1
    assert "jax" not in {line.rpartition("|")[2].strip() for line in printed.stderr.splitlines()}
