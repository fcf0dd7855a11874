"""What a user gets from the wheel: the files, the command, and types that checkers know."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ELSEWHERE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}

START = """
from collections.abc import Mapping
from typing import reveal_type

import jax

import runner
from runner import Loop
from runner.datasets import ring
from runner.losses import non_saturating
from runner.nets import mlp
from runner.optimizers import adam
from runner.scenarios import GAN
from runner.scenarios.gan import GANState

gan = GAN(
    generator=mlp(output_shape=(2,)),
    discriminator=mlp(output_shape=()),
    generator_optimizer=adam(1e-3),
    discriminator_optimizer=adam(1e-3),
    loss=non_saturating,
    latent_size=8,
)
key = jax.random.key(0)
"""

FITS = """
def steps_of(key: runner.Key, scenario: GAN, state: GANState, source: runner.Source):
    return {"steps": float(state.step)}, {}


class Printer:
    def write(self, step: int, metrics: runner.Metrics, figures: Mapping[str, object]) -> None:
        print(step, metrics)

    def close(self) -> None:
        pass


reveal_type(Loop(steps=1).run(gan, ring(), key=key))
reveal_type(Loop(steps=1).run(gan, ring().train, key=key))
reveal_type(Loop(steps=1).run(gan, ring(), key=key, evaluator=steps_of, writers=[Printer()]))
reveal_type(runner.train(["scenario=gan"]))
reveal_type(runner.scenarios.GAN)
"""

MISFIT = """
class Nothing:
    def step(self, key: runner.Key, state: int, batch: runner.Batch) -> int:
        return state


Loop(steps=1).run(Nothing(), ring(), key=key)
"""


def run(*words, cwd=None):
    done = subprocess.run(words, cwd=cwd, env=ELSEWHERE, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """Gives the Python of an environment with the wheel, which finds everything else in that of the tests."""
    folder = tmp_path_factory.mktemp("user")
    built = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        folder,
        ROOT,
    ]
    code, printed = run(sys.executable, "-m", "pip", *built)
    assert code == 0, printed
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    installed = ["--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    code, printed = run(sys.executable, "-m", "pip", *installed)
    assert code == 0, printed
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    others = [folder for folder in sys.path if folder.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return python


@pytest.fixture(params=["pyright", "mypy"])
def check(request, user, tmp_path):
    """Gives what checks a program of a user's by one of the type checkers, and returns the exit code and the lines."""
    options = {"pyright": ["--pythonpath", user], "mypy": ["--python-executable", user]}[request.param]

    def run_checker(text):
        (tmp_path / "program.py").write_text(START + text)
        words = [sys.executable, "-m", request.param, *options, "program.py"]
        code, printed = run(*words, cwd=tmp_path)
        return code, [line for line in printed.splitlines() if "program.py:" in line]

    return run_checker


@pytest.mark.slow
def test_the_wheel_holds_the_types_the_settings_and_the_command(user):
    (wheel,) = user.parents[2].glob("*.whl")
    files = zipfile.ZipFile(wheel).namelist()
    assert {"runner/py.typed", "runner/conf/config.yaml", "runner/runs/comparison.html"} <= {*files}
    assert not [name for name in files if name.startswith(("tests", "faults"))]
    code, printed = run(user.with_name("runner"), "parts", "net", cwd=user.parent)
    assert (code, "hidden_sizes" in printed) == (0, True), printed


@pytest.mark.slow
def test_type_checkers_know_what_the_loop_returns(check):
    code, lines = check(FITS)
    assert code == 0, lines
    shown = [line.split(" is ")[-1] for line in lines]
    assert len(shown) == 5, lines
    assert all("GANState" in each for each in shown[:3])
    assert re.search(r"\bRun\b", shown[3])
    assert re.search(r"\bGAN\b", shown[4])


@pytest.mark.slow
def test_type_checkers_refuse_what_is_no_scenario(check):
    code, lines = check(MISFIT)
    refused = [line for line in lines if "error" in line]
    assert (code, len(refused)) == (1, 1), lines
    assert '"Nothing"' in refused[0]
