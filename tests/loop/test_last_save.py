"""A training returns, in whatever way, once its last save is on the disk."""

import errno
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

from runner import Loop
from runner.datasets import Arrays
from runner.errors import Stopped, StorageError
from runner.nets import linear
from runner.scenarios import Regression
from runner.storage import seals
from runner.storage.checkpoints import Checkpoints

LAST_LINE = """
import sys
import jax, numpy as np, optax
from runner import Loop
from runner.datasets import Arrays
from runner.nets import linear
from runner.scenarios import Regression
from runner.storage.checkpoints import Checkpoints

scenario = Regression(linear(output_shape=(1,)), optax.sgd(0.1), optax.l2_loss)
rows = Arrays({"x": np.ones((8, 2), np.float32), "y": np.ones((8, 1), np.float32)}, 4)
loop = Loop(steps=50, save_every=25)
loop.run(scenario, rows, key=jax.random.key(0), checkpoints=Checkpoints(sys.argv[1]))
"""


def train(checkpoints, steps=50, x=1.0, stop=None):
    rows = Arrays({"x": np.full((8, 2), x, np.float32), "y": np.ones((8, 1), np.float32)}, 4)
    scenario = Regression(linear(output_shape=(1,)), optax.sgd(0.1), optax.l2_loss, standardize=False)
    loop = Loop(steps=steps, save_every=25)
    return loop.run(scenario, rows, key=jax.random.key(0), checkpoints=checkpoints, stop=stop)


@pytest.fixture
def full(monkeypatch):
    """A disk on which nothing can be saved."""

    def fail(folder, note):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(seals, "seal", fail)


def test_a_script_that_ends_with_the_training_has_saved_its_last_step(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LAST_LINE, tmp_path / "c"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert Checkpoints(tmp_path / "c").newest() == 50


def test_a_training_that_is_stopped_has_saved_its_last_step(tmp_path):
    asked = iter([False, False, False, *[True] * 9])
    with pytest.raises(Stopped, match="stopped at step 4"):
        train(Checkpoints(tmp_path / "c"), stop=lambda: next(asked))
    assert Checkpoints(tmp_path / "c").newest() == 4


def test_a_training_that_ends_by_an_error_has_saved_the_step_before_it(tmp_path):
    train(Checkpoints(tmp_path / "c"), steps=25)
    steps = []
    checkpoints = Checkpoints(tmp_path / "c", on_saved=steps.append)

    def stop():
        if checkpoints._pending is not None:
            raise RuntimeError("while step 50 is saved")
        return False

    with pytest.raises(RuntimeError, match="while step 50 is saved"):
        train(checkpoints, steps=100, stop=stop)
    assert steps == [50]


@pytest.mark.parametrize("asked", [False, True], ids=["ended", "stopped"])
def test_a_last_save_that_fails_is_an_error_of_the_training(tmp_path, full, asked):
    answers = iter([False, *[asked] * 99])
    with pytest.raises(StorageError, match=r"was not saved: OSError: .*No space left"):
        train(Checkpoints(tmp_path / "c"), steps=25, stop=lambda: next(answers))


def test_the_end_of_a_with_block_waits_for_the_last_save(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"w": np.ones(3)}, {})
    assert Checkpoints(tmp_path / "c").newest() == 1


def test_the_end_of_a_with_block_raises_the_error_of_the_last_save(tmp_path, full):
    with pytest.raises(StorageError, match="c/1: was not saved"), Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"w": np.ones(3)}, {})
