"""The examples run as they say; the package of one's own also as if it were installed."""

import importlib.util
import re
import shutil
import sys
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import optax
import pytest

from runner import open_run
from runner.cli import main
from runner.compose.command_line import compose
from runner.core import Spec

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = EXAMPLES / "own"


@pytest.fixture(autouse=True)
def _first_import(monkeypatch):
    """Forgets the package, wherever another test imported it from."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "own"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def own(monkeypatch):
    """Makes the package importable, as PYTHONPATH does."""
    monkeypatch.syspath_prepend(OWN)


def test_a_gan_in_code_trains_and_draws(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("gan_in_code", EXAMPLES / "gan_in_code.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(steps=3)
    assert re.fullmatch(r"\d of 8 modes; \d+% of the points near one\n", capsys.readouterr().out)
    assert [path.name for path in tmp_path.iterdir()] == ["ring.png"]


def test_a_scenario_of_ones_own_runs_and_its_run_opens_again(own):
    folder = ["--config-dir", str(OWN / "conf")]
    main([*folder, "scenario=mixup", "dataset=iris", "steps=60", "hydra.run.dir=run"])
    run = open_run("run", trust_code=True)
    metrics, _ = run.evaluate()
    assert {f"validation/{name}": value for name, value in metrics.items()}.items() <= run.records[-1].items()
    assert metrics["accuracy"] > 0.6


def test_a_net_of_flax_trains_in_a_scenario_that_knows_nothing_of_it(own):
    folder = ["--config-dir", str(OWN / "conf")]
    main([*folder, "net=linen", "dataset=iris", "steps=60", "ensemble=2", "hydra.run.dir=run"])
    run = open_run("run", trust_code=True)
    assert run.records[-1]["validation/accuracy"] > 0.6
    assert run.evaluate()[0]["accuracy"] == run.records[-1]["validation/accuracy"]
    assert {"params", "batch_stats"} & set(run.state().net.net_state) == {"batch_stats"}


def test_a_scenario_of_ones_own_is_found_where_its_package_is_installed(tmp_path, monkeypatch):
    settings = tomllib.loads((OWN / "pyproject.toml").read_text())
    shutil.copytree(OWN / "own", tmp_path / "own")
    for source, place in settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        shutil.copytree(OWN / source, tmp_path / place)
    points = settings["project"]["entry-points"]["runner.configs"]
    (tmp_path / "own-0.1.0.dist-info").mkdir()
    lines = ["[runner.configs]", *(f"{name} = {package}" for name, package in points.items())]
    (tmp_path / "own-0.1.0.dist-info" / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    assert compose(["scenario=mixup"])["scenario"]["_target_"] == "own.mixup.Mixup"


def test_mixup_of_equal_examples_is_an_ordinary_step(own):
    from own.mixup import Mixup

    net = (lambda key, x: {"w": jnp.ones((2, 3))}, lambda params, x: x @ params["w"])
    loss = optax.losses.softmax_cross_entropy_with_integer_labels
    mixup = Mixup(net, optax.sgd(0.1), loss, alpha=0.4)
    spec = Spec({"x": ((2,), "float32")}, classes=3)
    batch = {"x": jnp.ones((4, 2)), "y": jnp.full(4, 2)}
    state, metrics = jax.jit(mixup.step)(jax.random.key(1), mixup.init(jax.random.key(0), spec), batch)
    # All logits are 2, whatever is mixed: the gradient is 1/3 at the wrong classes and -2/3 at the right one.
    assert jnp.allclose(metrics["loss"], jnp.log(3))
    assert jnp.allclose(state.net.params["w"], 1 - 0.1 * jnp.array([[1 / 3, 1 / 3, -2 / 3]] * 2))
    assert 0 <= metrics["share"] <= 1


def test_mixup_refuses_data_without_classes(own, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--config-dir", str(OWN / "conf"), "scenario=mixup", "dataset=diabetes"])
    assert stopped.value.code == 2
    assert "the data has no classes" in capsys.readouterr().err
