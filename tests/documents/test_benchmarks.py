"""The benchmarks' own parts; that they measure is tried on one short run."""

import subprocess
import sys
from math import nan
from pathlib import Path

import jax
import numpy as np
import pytest

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.runs.training import Training

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(FOLDER / "ways")
    import speed

    yield speed
    for name in ("speed", "scaling", "long", "structures", "measuring", "common", "haiku_parts"):
        sys.modules.pop(name, None)


@pytest.fixture
def learn(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import learn

    yield learn
    sys.modules.pop("learn", None)


def size(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("work", ["W1", "W2", "W3", "W4"])
def test_the_command_trains_nets_of_the_size_of_those_written_by_hand(work, speed, tmp_path):
    import haiku_parts

    shape = {"W1": (1, 64), "W2": (1, 2)}.get(work) or (1, *speed.IMAGES[work][1:])
    carry = jax.eval_shape(
        haiku_parts.parts(work)[0], jax.random.key(0), jax.ShapeDtypeStruct(shape, "float32")
    )
    images = tmp_path / "images.npz"
    np.savez(images, x=np.zeros((200, *shape[1:]), np.float32), y=np.arange(200) % 10)
    state = Training(compose(speed.WORKS[work].command(images))).prepared.template
    nets = (state.generator, state.discriminator) if work == "W2" else (state.net,)
    assert size([net.params for net in nets]) == haiku_parts.count(work, carry)


@pytest.mark.parametrize("work", ["W1 long", "W2 long", "W1 sweep", "W2 sweep"])
def test_the_other_works_are_commands_too(work, speed):
    assert compose(speed.WORKS[work].command())["steps"] == speed.WORKS[work].steps


def test_a_program_reports_when_its_first_step_was_done_and_how_fast_the_later_ones_were(speed, tmp_path):
    result = speed.run_program("W1", "scan", 56, Path("none"), tmp_path, sys.executable)
    assert 0 < result.first < result.total
    assert result.rate > 0
    assert result.peak > 50
    assert result.parameters == 26122


def test_a_program_that_fails_is_reported_by_its_last_line(speed, tmp_path):
    with pytest.raises(RuntimeError, match="no such luck"):
        speed.launch([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)


def test_a_work_goes_on_without_what_is_not_installed_or_fails(speed, monkeypatch):
    needs, python = {"torch": "no-such-package"}, sys.executable
    monkeypatch.setattr(speed, "NEEDED", needs)
    monkeypatch.setattr(speed, "WORKS", {"W1": speed.Work("", "", 1, ("torch", "scan", "jit per step"))})
    took = speed.Result(3.0, 1.0)

    def measure(work, way, *_):
        if way == "scan":
            raise RuntimeError("out of memory")
        return took

    monkeypatch.setattr(speed, "measure", measure)
    monkeypatch.setattr(speed, "write_images", lambda folder: None)
    assert speed.measure_all(["W1"], 1, python) == {"W1": {"jit per step": took, "torch": speed.ABSENT}}


def test_the_rate_is_that_of_the_second_half(speed):
    notes = [(10, 105.0), (50, 120.0), (100, 125.0)]
    result = speed.timed(100.0, speed.Result(30.0, 1.0), notes, 7)
    assert result == speed.Result(30.0, 1.0, first=5.0, rate=10.0, parameters=7)


@pytest.mark.parametrize(("rate", "result"), [(95.0, "PASS"), (94.9, "FAIL"), (nan, "not measured")])
def test_the_limits_are_checked_by_the_medians(rate, result, speed):
    results = {"command, cold": speed.Result(1, 1, rate=rate), "scan": speed.Result(1, 1, rate=100.0)}
    rows = {row[0]: row[-1] for row in speed.check_limits({"W1 long": results})}
    assert rows.pop("W1 long: steps/s / scan") == result
    assert set(rows.values()) == {"not measured"}


def test_the_report_holds_each_way_with_its_ratios_and_those_that_failed_or_are_not_installed(speed):
    results = {
        "command, cold": speed.Result(3.0, 300.0, 1.0, 50.0, 10),
        "jit per step": speed.Result(4.0, 100.0, 2.0, 25.0, 10),
        "scan": speed.Result(2.0, 200.0, 0.5, 100.0, 10),
    }
    text = speed.report({"W1 long": results}, 1)
    assert (
        "| command, cold | 1.00 (2.00, 0.50) | 3.00 (1.50, 0.75) | 50.0 (0.50, 2.00) | 300 (1.50, 3.00) |"
        in text
    )
    assert "| classes in code | FAILED |" in text
    assert "| torch | not installed |" in speed.report({"W4": {"torch": speed.ABSENT}}, 1)
    assert "20000 steps, 10 parameters" in text


@pytest.mark.parametrize("parameters", [1e3, 1e4, 1e5, 1e6, 1e7])
def test_widths_make_nets_of_the_size_that_is_asked_for(parameters, speed):
    import scaling

    units = scaling.width(parameters)
    made = 64 * units + units + units**2 + units + 10 * units + 10
    assert made == pytest.approx(parameters, rel=0.1)


def test_every_line_of_the_scaling_is_a_command(speed, tmp_path):
    import scaling

    for command, members in scaling.commands(tmp_path).values():
        words = [
            word for word in command.split() if word != "-m" and not word.startswith(("hydra/", "seed="))
        ]
        assert members >= 1
        compose([*words, *scaling.QUIET.split()])


def test_long_work_is_sampled_from_its_first_saves_to_its_end(speed, tmp_path, capsys):
    import long

    long.evaluate(tmp_path, 80)
    long.repeat(tmp_path, 4)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    done = [row[0].removeprefix("| ") for row in rows]
    assert done == [*(f"{n} evaluations" for n in (20, 40, 60, 80)), *(f"{n} runs" for n in (1, 2, 3, 4))]
    assert all(int(cell.strip(" |")) > 0 for row in rows for cell in row[1:])


def test_learning_is_measured_for_all_commands_or_for_those_that_are_named(learn):
    assert learn.chosen([]) == learn.TASKS
    assert [task.metric for task in learn.chosen(["scenario=gan"])] == ["modes", "energy_distance"]
    with pytest.raises(SystemExit, match="no task measures scenario=gna; name some of dataset=breast_cancer"):
        learn.chosen(["scenario=gan", "scenario=gna"])


@pytest.mark.slow
def test_the_workers_of_learning_end_when_it_is_killed():
    command = [sys.executable, FOLDER / "learn.py", "dataset=iris"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()  # the workers exist, and have the same output
        process.kill()
        process.communicate(timeout=60)  # its end is that of the last one of them


@pytest.mark.slow
def test_averages_are_followed_along_the_training_of_the_command(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import averages

    command = [
        "scenario=gan",
        "net.hidden_sizes=[4]",
        "evaluation.size=16",
        "steps=3",
        "dataset.batch_size=8",
    ]
    values = averages.train("generator", command, 2)
    for own, decay in ((values["test"][0], None), (values["test"][4], averages.DECAYS[3])):
        config = compose([*command, f"scenario.ema={'null' if decay is None else decay}", "seed=2"])
        scenario, dataset, loop, evaluator = build(config)
        state = Loop(steps=loop.steps).run(scenario, dataset.train, key=jax.random.key(2))
        metrics, _ = evaluator(jax.random.key(1), scenario, state, dataset.test)
        assert own == pytest.approx(metrics["energy_distance"], rel=1e-4)
    assert len(values["validation"]) == 1 + len(averages.DECAYS)
