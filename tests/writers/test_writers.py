import functools
import json
import logging
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import TrainState
from runner.writers import JsonLines, Pictures, Progress, TensorBoard, figures, parameter_table

ROWS = {2: {"loss": 0.5}, 4: {"loss": 0.25, "validation/accuracy": 0.75}, 5: {"loss": 0.125}}


def draw():
    return figures.images(np.linspace(0, 1, 4 * 8 * 8).reshape(4, 8, 8, 1))


def fail():
    raise RuntimeError("no paper")


def written(make, directory, rows=ROWS, **settings):
    writer = make(directory, **settings)
    for step, row in rows.items():
        writer.write(step, row, {"samples": draw} if step == 4 else {})
        writer.write(step, {}, {})
    writer.close()


def steps_in(path):
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_each_record_is_one_line_and_equal_runs_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        written(JsonLines, tmp_path / name)
    lines = (tmp_path / "one/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": step, **row} for step, row in ROWS.items()]
    assert (tmp_path / "one/metrics.jsonl").read_bytes() == (tmp_path / "two/metrics.jsonl").read_bytes()
    assert steps_in(tmp_path / "one/timing.jsonl") == list(ROWS)


def test_the_weights_that_were_evaluated_are_recorded_with_the_metrics(tmp_path):
    writer = JsonLines(tmp_path, weights="average")
    writer.write(1, {"loss": 1.0}, {})
    writer.write(2, {"validation/loss": 1.0}, {})
    writer.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line.get("validation/weights") for line in lines] == [None, "average"]


def test_going_on_cuts_away_later_records_and_a_torn_line(tmp_path):
    written(JsonLines, tmp_path)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "lo')
    written(JsonLines, tmp_path, {5: {"loss": 1.0}}, start=4)
    assert steps_in(tmp_path / "metrics.jsonl") == [2, 4, 5]


def test_numbers_that_are_not_finite_stay_readable_json(tmp_path):
    written(JsonLines, tmp_path, {1: {"loss": float("nan"), "r2": float("-inf")}})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
        "step": 1,
        "loss": "NaN",
        "r2": "-Infinity",
    }


def test_tensorboard_shows_every_tag_and_step_of_the_record_and_the_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written(TensorBoard, tmp_path, hyperparameters={"seed": 0, "net.hidden_sizes": [8]})
    shown = TensorBoard(tmp_path, start=4)
    written(functools.partial(Pictures, show=shown.image), tmp_path)
    shown.close()
    written(TensorBoard, tmp_path, {5: {"loss": 1.0}, 7: {"loss": 2.0}}, start=4)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }
    assert values["loss"] == [(2, 0.5), (4, 0.25), (5, 1.0), (7, 2.0)]
    assert values["validation/accuracy"] == [(4, 0.75)]
    assert [image.step for image in events.Images("samples")] == [4]


def test_the_latest_picture_wins_and_one_that_fails_does_not_end_the_run(tmp_path, caplog):
    pictures = Pictures(tmp_path)
    with caplog.at_level(logging.WARNING):
        pictures.write(1, {}, {"bad": fail, "samples": draw})
        pictures.close()
    assert "no paper" in caplog.text
    assert (tmp_path / "figures/samples.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["samples.png"]


def test_progress_prints_a_line_for_each_record_where_there_is_no_terminal(capsys):
    progress = Progress(10, steps_per_epoch=4)
    progress.write(1, {}, {})
    progress.write(2, {"loss": 0.5}, {})
    progress.close()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("step 2/10  epoch 0.5  loss 0.5")


class State(NamedTuple):
    net: TrainState
    mean: jax.Array


def test_parameters_are_listed_by_net_with_shapes_and_totals():
    net = TrainState({"linear": {"w": jnp.ones((3, 4)), "b": jnp.ones(4)}}, {}, ())
    table = parameter_table(State(net, jnp.ones(5)))
    assert "linear" in table
    assert "[3, 4]" in table
    assert "16" in table.splitlines()[-1]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.curves([{"step": s, "loss": 1 / s, "validation/loss": 2 / s} for s in range(1, 5)]),
        lambda: figures.curves([]),
        lambda: figures.spread([]),
        lambda: figures.confusion(np.eye(3) / 3, ["a", "b", "c"]),
        lambda: figures.fit(np.arange(5.0), np.arange(5.0) ** 2, np.arange(5.0)),
        lambda: figures.against(np.arange(5.0), np.arange(5.0)),
        lambda: figures.scatter(np.eye(2), np.zeros((4, 2))),
        lambda: figures.scatter(None, np.eye(2)),
        lambda: figures.images(np.ones((70, 4, 4, 3))),
    ],
)
def test_every_figure_can_be_drawn(figure):
    assert figures.png(figure).startswith(b"\x89PNG")


def test_samples_of_other_shapes_have_no_figure():
    assert figures.samples(np.ones((3, 5))) == {}
    assert set(figures.samples(np.ones((3, 2)))) == {"samples"}
