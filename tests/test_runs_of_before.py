"""Runs saved by an earlier version open, evaluate to the numbers they recorded, and continue as they did then.

Commit b69365f made `fixtures/runs` on Python 3.11 with jax 0.10.2, and resumed copies of them: `resumed.json` holds
their last records. These files are never made again, for what an earlier version wrote is what these tests read.
"""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from runner import open_run
from runner.cli import main
from runner.runs.training import Training
from runner.storage.run_directory import Directory

RUNS = Path(__file__).parent / "fixtures" / "runs"
RESUMED = json.loads((RUNS / "resumed.json").read_text())
SINGLE = ["iris", "gan", "csv", "npz", "features"]
SWEEP = [
    *["dataset=iris", "optimizer.learning_rate=0.01,0.001", "net.hidden_sizes=[4]", "dataset.batch_size=8"],
    *["figures=false", "steps=4", "loop.log_every=2", "loop.evaluate_every=2", "loop.save_every=2"],
]


@pytest.fixture(autouse=True)
def _copies(tmp_path):
    """Copies the runs, and the files of their datasets, into the working directory of each test."""
    shutil.copytree(RUNS, tmp_path, dirs_exist_ok=True)


def record_of(run):
    return Path(run, "metrics.jsonl").read_text()


def info(run):
    return json.loads(Path(run, "run.json").read_text())


def last_numbers(run):
    return numbers(json.loads(record_of(run).splitlines()[-1]))


def numbers(record):
    return {name: value for name, value in record.items() if not isinstance(value, str)}


def approximately(record):
    """Compares the numbers of a record, allowing for other processors and other versions of the libraries."""
    return pytest.approx(numbers(record), rel=1e-3, abs=1e-5)


def refuse_other_end(run):
    """Compares the last record with that of the earlier version, whose averages of parameters were not debiased.

    A command that is repeated may record more metrics than it did then.
    """
    has_average = info(run)["weights"] == "average"
    expected = {
        name: value for name, value in RESUMED[run].items() if not (has_average and "validation/" in name)
    }
    found = last_numbers(run)
    assert found.keys() >= numbers(RESUMED[run]).keys()
    assert {name: found[name] for name in numbers(expected)} == approximately(expected)


@pytest.mark.parametrize("run", sorted(RESUMED.keys() - {"seeds"}))
def test_an_earlier_run_evaluates_to_the_metrics_it_recorded(run):
    opened = open_run(run)
    assert opened.checkpoints.steps
    for row in opened.records:
        metrics, _ = opened.evaluate(step=row["step"])
        recorded = {name.removeprefix("validation/"): row[name] for name in row if "validation/" in name}
        assert recorded.pop("weights") == info(run)["weights"]
        assert metrics == approximately(recorded)


@pytest.mark.parametrize("run", SINGLE)
def test_an_earlier_run_resumes(run):
    before = record_of(run)
    main(["resume", run, "steps=8"])
    assert record_of(run).startswith(before)
    refuse_other_end(run)
    main(["evaluate", run, "step=8", "split=test"])
    assert info(run)["status"] == "finished"


@pytest.mark.parametrize("run", ["gan", "features"])
def test_the_command_of_an_earlier_run_continues_it(run):
    earlier = ["scenario.ema=0.999"] if run == "gan" else []  # a default that has changed since
    main(["steps=8" if word == "steps=4" else word for word in info(run)["command"][1:]] + earlier)
    refuse_other_end(run)


def test_an_earlier_average_continues_debiased():
    decay = np.float64(np.float32(0.999))
    before = open_run("gan").state(2)
    main(["resume", "gan", "steps=3"])
    after = open_run("gan").state(3)
    sums = jax.tree.map(lambda average: np.float64(average) * (1 - decay**2), before.average)
    debiased = jax.tree.map(
        lambda total, new: (decay * total + (1 - decay) * new) / (1 - decay**3), sums, after.generator.params
    )
    jax.tree.map(
        lambda average, expected: np.testing.assert_allclose(average, expected, 1e-5, 1e-7),
        after.average,
        debiased,
    )


def test_earlier_seeds_resume():
    members = ["seeds/members/0", "seeds/members/1"]
    before = {member: record_of(member) for member in members}
    main(["resume", "seeds", "steps=8"])
    for member in members:
        assert record_of(member).startswith(before[member])
        assert last_numbers(member) == approximately(RESUMED[member])
    assert last_numbers("seeds") == approximately(RESUMED["seeds"])


def test_an_earlier_sweep_continues_by_its_command():
    before = {run: record_of(run) for run in ("sweep/0", "sweep/1")}
    main(["-m", *SWEEP, "hydra.sweep.dir=sweep"])
    for run, record in before.items():
        assert record_of(run).startswith(record)
        refuse_other_end(run)


def test_the_listings_read_earlier_runs(capsys):
    main(["ls"])
    listed = capsys.readouterr().out
    assert all(run in listed for run in (*SINGLE, "sweep ", "seeds "))
    main(["show", "gan"])
    main(["status", "gan"])
    main(["diff", "sweep/0", "sweep/1"])
    assert "optimizer.learning_rate" in capsys.readouterr().out


def test_an_earlier_run_keeps_a_direction_that_contradicts_its_metric():
    path = Path("iris/config.yaml")
    path.write_text(
        path.read_text().replace("  best: accuracy", "  best: loss").replace("mode: min", "mode: max")
    )
    config = Directory("iris").described()
    assert (config["loop"]["best"], config["loop"]["mode"]) == ("loss", "max")
    assert Training(config, saved=True).config["loop"]["mode"] == "max"
    with pytest.raises(ValueError, match=r"^loop.mode: max contradicts the declaration of loss"):
        Training(config)


def test_an_earlier_run_without_a_direction_has_the_default_of_then():
    path = Path("iris/config.yaml")
    path.write_text(path.read_text().replace("  mode: min\n", ""))
    assert Directory("iris").described()["loop"]["mode"] == "min"
