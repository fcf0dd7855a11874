"""Wherever a number stops being finite, the run ends at once, says where, and keeps what was finite."""

import json

import numpy as np
import pytest

import faults.numbers
from faults.tally import Tally
from runner.cli import main
from runner.storage.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

ROWS, HUGE = 40, 7  # of all rows this one's gradient is finite, and its square is not


def test_it_is_reported_with_its_step_and_name_and_never_saved():
    for tally in faults.numbers.numbers(every=12, seed=1):
        assert (tally.survived, tally.failures) == (5, [])


def test_without_the_check_of_the_state_some_would_be_saved():
    assert sum(faults.numbers.numbers(every=20, disabled="finite"), Tally("all")).silent


@pytest.fixture
def diverged(tmp_path, capsys):
    """Gives a run whose optimizer's state is infinite behind a finite loss, and what it said."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(ROWS, 2)).astype(np.float32), random.normal(size=(ROWS, 1)).astype(np.float32)
    x[HUGE], y[HUGE] = 1e3, 1e18
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    command = ["scenario=regression", "scenario.standardize=false", "net=linear", "dataset=npz"]
    command += [
        f"dataset.path={tmp_path}/rows.npz",
        "dataset.batch_size=1",
        "figures=false",
        "loop.best=null",
    ]
    every = ["steps=40", "loop.log_every=4", "loop.save_every=4", "loop.evaluate_every=40"]
    with pytest.raises(SystemExit) as stopped:
        main([*command, *every, f"hydra.run.dir={tmp_path}/run"])
    assert stopped.value.code == 5
    return tmp_path / "run", capsys.readouterr().err


def test_behind_a_finite_loss_it_is_reported_within_a_chunk_and_replayed_to_the_very_step(diverged, capsys):
    run, said = diverged
    bad, saved = (json.loads((run / "run.json").read_text())[key] for key in ("bad_step", "saved"))
    assert said == f"error: net.opt_state.0.nu.output.w of the state is not finite after step {bad}\n"
    assert (saved, Checkpoints(run / "checkpoints").newest()) == (bad - 4, bad - 4)
    main(["status", str(run)])
    output = capsys.readouterr().out
    for what in ("status: failed", f"last saved step: {saved}", "of the state is not finite after step"):
        assert what in output
    main(["replay", str(run)])
    found, compiled, _ = capsys.readouterr().out.splitlines()
    exact = int(found.partition(",")[0].removeprefix("step "))
    assert saved < exact < bad
    assert "net.opt_state" in compiled
