"""How errors are shown: what a part raises on purpose by its message, a fault in code by its place."""

import pickle
import sys

import pytest

from runner import errors
from runner.cli import main
from runner.errors import NotFinite, RunnerError, describe, exit_code

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, RunnerError)]
SCENARIO = """
import dataclasses

import jax.numpy as jnp

from runner import core
from runner.datasets import iris
from runner.scenarios import Supervised


def data():
    {data}
    return iris()


def loss(outputs, targets):
    {loss}
    return ((outputs - 1.0) ** 2).mean(-1)


def net(output_shape):
    {make}

    def forward(params, x):
        {net}
        return x @ params

    return (lambda key, x: jnp.ones((4, 3))), forward


@dataclasses.dataclass(frozen=True)
class Broken(Supervised):
    def __post_init__(self):
        {constructor}

    def init(self, key, spec):
        {init}
        return Supervised.init(self, key, spec)

    def step(self, key, state, batch):
        {step}
        return Supervised.step(self, key, state, batch)

    def evaluate(self, key, state, batch):
        {evaluate}
        return Supervised.evaluate(self, key, state, batch)

    def sample(self, key, state, n):
        {sample}
        return jnp.zeros((n, 4))
"""
FUNCTIONS = {
    "loss": "loss",
    "make": "net",
    "net": "forward",
    "constructor": "__post_init__",
    "init": "init",
    "step": "step",
    "evaluate": "evaluate",
    "sample": "sample",
    "data": "data",
}
SHORT = ["steps=2", "figures=false", "hydra.run.dir=run"]
FAULTS = {
    "one, two = (1, 2, 3)": "ValueError: too many values to unpack",
    "jnp.ones(3) @ jnp.ones(4)": "TypeError: dot_general",
    "None.missing": "AttributeError: 'NoneType' object",
    "core.per_example(None)": "AttributeError: 'NoneType' object",  # within runner, called by a user
}


def train_and_sample() -> None:
    main(["--config-dir", "conf", "scenario=broken", "dataset=broken", *SHORT])
    main(["sample", "run", "trust_code=true"])


@pytest.fixture
def run_broken(tmp_path, monkeypatch, capsys):
    """Returns a function that runs a scenario with a line of code in one place, and returns exit code and error."""

    def run(place: str, code: str) -> tuple[int, str]:
        lines = dict.fromkeys(FUNCTIONS, "pass") | {place: code}
        (tmp_path / "broken.py").write_text(SCENARIO.format(**lines))
        (tmp_path / "conf" / "scenario").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "scenario" / "broken.yaml").write_text(
            "_target_: broken.Broken\nnet: {_target_: broken.net, _partial_: true}\n"
            'optimizer: "@optimizer"\nloss: {_target_: broken.loss, _partial_: true}\n'
        )
        (tmp_path / "conf" / "dataset").mkdir(exist_ok=True)
        (tmp_path / "conf" / "dataset" / "broken.yaml").write_text("_target_: broken.data\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "broken", raising=False)
        with pytest.raises(SystemExit) as stopped:
            train_and_sample()
        return stopped.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", FUNCTIONS)
def test_a_fault_in_a_users_code_is_shown_with_type_file_line_and_function(run_broken, place, fault):
    code, shown = run_broken(place, fault)
    assert code == 1
    assert shown.startswith("error: broken.py:")
    assert f" in {FUNCTIONS[place]}: {FAULTS[fault]}" in shown
    assert shown.endswith("(traceback=true shows the whole traceback)\n")


@pytest.mark.parametrize("place", FUNCTIONS)
def test_what_a_users_part_raises_on_purpose_is_shown_by_its_message(run_broken, place):
    code, shown = run_broken(place, 'raise ValueError("alpha: must be even")')
    assert code == 2
    assert "alpha: must be even" in shown
    assert "broken.py" not in shown


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling_with_its_message_and_exit_code(kind):
    error = NotFinite(3, "loss is nan") if kind is NotFinite else kind("what is wrong")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (kind, str(error), error.__dict__)
    assert exit_code(again) == kind.exit_code
    assert describe(again) == str(error)


def test_exit_codes_are_those_that_the_documentation_lists():
    codes = {kind.__name__: kind.exit_code for kind in CLASSES}
    assert codes == {
        "RunnerError": 1,
        "CheckFailed": 1,
        "ConfigError": 2,
        "InvalidData": 2,
        "Occupied": 2,
        "Untrusted": 2,
        "Busy": 3,
        "StorageError": 4,
        "NotFinite": 5,
        "Misfit": 6,
        "Unreadable": 6,
        "Stopped": 130,
    }
    assert exit_code(FileNotFoundError(2, "no such file", "data.csv")) == 4
    assert exit_code(KeyError("x")) == 1


def test_a_message_that_quotes_a_long_text_keeps_its_begin_and_its_end():
    shown = describe(RunnerError(f"net: {'x' * 10**6} is unknown; known are relu"))
    assert len(shown) < 2100
    assert shown.startswith("net: xxx")
    assert shown.endswith("xxx is unknown; known are relu")
