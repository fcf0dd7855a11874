import csv
import html.parser
import io
import json
import shutil

import pytest
import yaml
from rich.console import Console
from small_runs import FIGURES

from runner.cli import main
from runner.runs.comparison import compare
from runner.writers import TensorBoard, figures

LOOP = {"best": "accuracy", "mode": "max", "steps": 30}


def make(folder, values=(), status="finished", error=None, **config):
    """Writes a run that recorded these accuracies, at steps 10, 20 and so on."""
    folder.mkdir(parents=True)
    config = {"seed": 0, "steps": 30, "optimizer": {"learning_rate": 0.1}, "loop": LOOP} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    step = 10 * len(values) if status == "finished" else None
    (folder / "run.json").write_text(json.dumps({"status": status, "step": step, "error": error}))
    rows = [
        {"step": 10 * place, "loss": 1 / place, "validation/accuracy": value, "validation/weights": "raw"}
        for place, value in enumerate(values, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def sweep(tmp_path):
    """Gives a sweep of two rates with two seeds each; jobs 3 and 10 failed."""
    for job, rate, seed, values in [
        (0, 0.1, 0, [0.5, 0.7, 0.6]),
        (1, 0.1, 1, [0.5, 0.9, 0.8]),
        (2, 0.2, 0, ["NaN", 0.85, "NaN"]),
    ]:
        make(tmp_path / f"sweep/{job}", values, seed=seed, optimizer={"learning_rate": rate})
    broken = {"status": "failed", "error": "NotFinite: loss is nan\nat step 12", "seed": 1}
    make(tmp_path / "sweep/3", [0.99], **broken, optimizer={"learning_rate": 0.2})
    make(tmp_path / "sweep/10", **broken, optimizer={"learning_rate": 0.3})
    return tmp_path / "sweep"


def places(comparison):
    return [row.place for row in comparison.rows]


def page(comparison):
    """Gives the data of a page, as a browser would find it."""

    class Reader(html.parser.HTMLParser):
        inside, texts = False, ()

        def handle_starttag(self, tag, attrs):
            self.inside = ("type", "application/json") in attrs

        def handle_endtag(self, tag):
            self.inside = False

        def handle_data(self, data):
            self.texts += (data,) if self.inside else ()

    reader = Reader()
    reader.feed(comparison.html())
    return json.loads("".join(reader.texts))


def test_the_best_by_what_the_loop_followed_come_first_and_the_failed_last(sweep):
    comparison = compare(sweep)
    assert (comparison.by, comparison.mode) == ("validation/accuracy", "max")
    assert places(comparison) == ["1", "2", "0", "3", "10"]
    first, second, *_, failed = comparison.rows
    assert (first.best, first.best_step, first.last, first.step) == (0.9, 20, 0.8, 30)
    assert (second.best, str(second.last)) == (0.85, "nan")
    assert (failed.best, failed.step, failed.error) == (None, 0, "NotFinite: loss is nan at step 12")


@pytest.mark.parametrize(
    ("by", "mode", "order"),
    [
        ("accuracy", None, ["1", "2", "0", "3", "10"]),
        ("validation/accuracy", "min", ["0", "1", "2", "3", "10"]),
        ("loss", None, ["0", "1", "2", "3", "10"]),
    ],
)
def test_any_metric_can_order_the_runs_either_way(sweep, by, mode, order):
    assert places(compare(sweep, by, mode)) == order


def test_runs_that_follow_no_metric_are_ordered_by_what_they_recorded(tmp_path):
    for job, value in enumerate([0.3, 0.2]):
        make(tmp_path / f"{job}", [value], seed=job, loop={**LOOP, "best": None})
    comparison = compare(tmp_path)
    assert (comparison.by, comparison.mode, places(comparison)) == ("validation/accuracy", "max", ["0", "1"])


def declare(folder, **modes):
    """Adds the declarations of metrics to the run info, and a value of `own` to the records."""
    info = json.loads((folder / "run.json").read_text())
    metrics = {name: {"mode": mode, "meaning": "a few words"} for name, mode in modes.items()}
    (folder / "run.json").write_text(json.dumps(info | {"metrics": metrics}))
    with (folder / "metrics.jsonl").open("a") as records:
        records.write(json.dumps({"step": 99, "validation/own": float(folder.name)}) + "\n")


@pytest.mark.parametrize(("mode", "order"), [("max", ["2", "1"]), ("min", ["1", "2"])])
def test_the_direction_of_a_metric_is_the_one_that_the_runs_declare(tmp_path, mode, order):
    for job in ("1", "2"):
        make(tmp_path / job, seed=job)
        declare(tmp_path / job, own=mode)
    assert (compare(tmp_path, "own").mode, places(compare(tmp_path, "own"))) == (mode, order)


@pytest.mark.parametrize(("one", "other"), [(None, None), ("min", "max")])
def test_a_metric_of_unknown_direction_needs_a_mode_and_orders_nothing_by_itself(tmp_path, one, other):
    for job, mode in (("1", one), ("2", other)):
        make(tmp_path / job, seed=job)
        declare(tmp_path / job, own=mode)
    with pytest.raises(ValueError, match=r"^mode: the runs do not agree .* lower validation/own is better"):
        compare(tmp_path, "own")
    assert places(compare(tmp_path, "own", "max")) == ["2", "1"]
    assert compare(tmp_path).by is None


def test_only_the_settings_in_which_the_runs_differ_are_shown(tmp_path):
    nets = [{"_target_": "mlp", "sizes": [8], "dropout": None}, {"_target_": "mlp", "sizes": [16, 16]}]
    for job, (net, steps) in enumerate(zip(nets, (10, 20), strict=True)):
        optimizer = {"learning_rate": 0.1, "horizon": 5 * steps}
        make(tmp_path / f"{job}", net=net, steps=steps, loop={**LOOP, "steps": steps}, optimizer=optimizer)
    comparison = compare(tmp_path)
    assert sorted(comparison.settings) == ["net.dropout", "net.sizes", "steps"]
    assert [row.settings for row in comparison.rows] == [
        {"net.dropout": None, "net.sizes": [8], "steps": 10},
        {"net.sizes": [16, 16], "steps": 20},
    ]


def test_choices_of_parts_are_shown_by_the_names_that_one_types(tmp_path):
    mlp = {"_target_": "runner.nets.mlp", "hidden_sizes": [8], "dropout": None}
    cross = "optax.losses.softmax_cross_entropy_with_integer_labels"
    for job, (net, loss) in enumerate(
        [
            (mlp, cross),
            ({**mlp, "dropout": 0.1}, "optax.losses.l2_loss"),
            ({"_target_": "runner.nets.linear"}, cross),
        ]
    ):
        make(tmp_path / f"{job}", [0.123456], net=net, loss={"_target_": loss})
    comparison = compare(tmp_path)
    assert sorted(comparison.settings) == ["loss", "net", "net.dropout"]
    assert [row.settings for row in comparison.rows] == [
        {"net": "mlp", "loss": "cross_entropy", "net.dropout": None},
        {"net": "mlp", "loss": "l2", "net.dropout": 0.1},
        {"net": "linear", "loss": "cross_entropy"},
    ]


def test_choices_that_are_dotted_names_are_shown_as_they_were_typed(tmp_path):
    named = {"_target_": "runner.optimizers.from_optax", "horizon": 30}
    optimizers = [
        {**named, "make": {"_target_": "optax.lamb", "_partial_": True}, "learning_rate": 0.1},
        {**named, "make": {"_target_": "optax.sgd", "_partial_": True}, "learning_rate": 0.2},
        {"_target_": "runner.optimizers.adam", "learning_rate": 0.1},
    ]
    nets = ["haiku.nets.MLP", "runner.nets.mlp", "runner.nets.mlp"]
    for job, (optimizer, net) in enumerate(zip(optimizers, nets, strict=True)):
        make(tmp_path / f"{job}", [0.1 * job], optimizer=optimizer, net={"_target_": net})
    assert [row.settings for row in compare(tmp_path).rows] == [
        {"optimizer": "adam", "net": "mlp"},
        {"optimizer": "optax.sgd", "net": "mlp"},
        {"optimizer": "optax.lamb", "net": "haiku.nets.MLP"},
    ]
    shutil.rmtree(tmp_path / "2")
    assert [row.settings["optimizer"] for row in compare(tmp_path).rows] == ["optax.sgd", "optax.lamb"]


def test_no_number_is_cut_and_no_line_is_wrapped_where_output_is_no_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    rates_of = lambda job: [f"0.00{job + number}" for number in range(1, 9)]
    for job in range(2):
        rates = {f"rate_{number}": float(rate) for number, rate in enumerate(rates_of(job))}
        make(tmp_path / f"{job}", [0.123456], optimizer=rates, seed=12345678 + job)
    main(["compare", str(tmp_path)])
    first = next(line for line in capsys.readouterr().out.splitlines() if "12345678" in line)
    assert first.split() == ["0", *rates_of(0), "12345678", "finished", "10", "0.1235", "10", "0.1235"]
    console = Console(width=40, record=True, file=io.StringIO())
    console.print(compare(tmp_path), crop=False)
    narrow = console.export_text()
    assert all(text in narrow for text in ("12345678", "0.1235", "finished"))


def test_members_stand_for_their_run_and_are_numbered_as_one_counts(tmp_path):
    make(tmp_path / "run", [0.1])
    for member in (0, 2, 10):
        make(tmp_path / f"run/members/{member}", [0.5], seed=member)
    assert places(compare(tmp_path)) == [f"run/members/{member}" for member in (0, 2, 10)]
    assert places(compare(tmp_path / "run/members/2")) == ["."]


def test_runs_of_equal_settings_are_shown_by_mean_and_deviation_over_seeds(sweep):
    groups = {group.name: group for group in compare(sweep).groups}
    assert list(groups) == [f"optimizer.learning_rate={rate}" for rate in (0.2, 0.1, 0.3)]
    assert groups["optimizer.learning_rate=0.1"].best[:2] == pytest.approx((0.8, 0.02**0.5))
    assert groups["optimizer.learning_rate=0.2"].last[:2] == pytest.approx((0.99, 0))
    assert groups["optimizer.learning_rate=0.3"].best is None


def test_the_table_is_csv_with_all_digits(sweep):
    rows = list(csv.DictReader(io.StringIO(compare(sweep).csv())))
    assert [row["run"] for row in rows] == ["1", "2", "0", "3", "10"]
    assert rows[0] == {
        "run": "1",
        "seed": "1",
        "optimizer.learning_rate": "0.1",
        "status": "finished",
        "step": "30",
        "best validation/accuracy": "0.9",
        "best step": "20",
        "last validation/accuracy": "0.8",
        "error": "",
    }


def test_the_page_holds_table_and_curves_and_nothing_from_elsewhere(sweep):
    comparison = compare(sweep)
    shown = page(comparison)
    assert [run["cells"][0] for run in shown["runs"]] == ["1", "2", "0", "3", "10"]
    assert shown["runs"][1]["curves"]["validation/accuracy"] == [[10, 20, 30], [None, 0.85, None]]
    assert [shown["groups"][run["group"]]["name"][-3:] for run in shown["runs"]] == [
        *["0.1", "0.2", "0.1", "0.2", "0.3"]
    ]
    text = comparison.html()
    assert "{{" not in text
    assert not any(word in text for word in ("src=", "@import", "url(", "fetch(", "<link"))


def test_long_curves_are_thinned_but_keep_their_last_point(tmp_path):
    make(tmp_path / "0", [place / 3000 for place in range(3000)])
    steps, values = page(compare(tmp_path))["runs"][0]["curves"]["validation/accuracy"]
    assert len(steps) < 500
    assert (steps[-1], values[-1]) == (30000, 0.99967)


def test_what_users_wrote_is_never_taken_for_markup(tmp_path):
    hostile = "</script><script>alert(1)</script><!-- {{page}} & [/bold] [red]\u2028"
    for job in range(2):
        make(tmp_path / f"{job}", [0.5], "failed", error=hostile, dataset={"path": f"{job}{hostile}"})
    comparison = compare(tmp_path)
    assert comparison.html().count("<script") == 2
    assert page(comparison)["runs"][1]["cells"][1] == "1" + hostile.replace("\u2028", r"\u2028")
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(comparison)
    assert "[/bold] [red]" in console.export_text()


def test_the_command_prints_the_table_and_writes_it_next_to_the_runs(sweep, capsys):
    main(["compare", str(sweep), "by=loss", "mode=max"])
    shown = capsys.readouterr().out
    assert "5 runs by loss (max)" in shown
    assert "over seeds" in shown
    assert "best loss" in (sweep / "table.csv").read_text()
    assert (sweep / "table.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "holds no run"),
        (
            ["sweep", "by=acuracy"],
            "by: 'acuracy' is not a metric of these runs; known: loss, validation/accuracy",
        ),
        (["sweep", "mode=best"], "mode: 'best' is neither min nor max"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_one_line(sweep, words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *words])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_figures_of_a_finished_run_are_drawn_from_its_record_and_checkpoint(runs, tmp_path, capsys):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    shutil.rmtree("run/figures", ignore_errors=True)
    main(["figures", "run", "step=8"])
    assert "figures of step 8" in capsys.readouterr().out
    pictures = list((tmp_path / "run/figures").iterdir())
    assert {path.stem for path in pictures} == {"curves", *FIGURES["supervised"]}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_the_spread_of_several_runs_is_drawn_about_their_mean():
    row = {"loss/mean": 1.0, "loss/std": 0.25, "loss/min": 0.5, "loss/max": 2.0}
    records = [{"step": step, **row, "other": 1.0} for step in (1, 2, 3)]
    records[1] |= {f"validation/{name}": value for name, value in row.items()}
    (panel,) = figures.spread(records).axes
    assert panel.get_title() == "loss"
    assert [line.get_label() for line in panel.lines] == ["training", "validation"]
    assert panel.lines[0].get_xydata().tolist() == [[1, 1], [2, 1], [3, 1]]
    heights = [set(band.get_paths()[0].vertices[:, 1]) for band in panel.collections[:2]]
    assert heights == [{0.75, 1.25}, {0.5, 2.0}]


def test_tensorboard_compares_runs_by_hyperparameters_metrics_and_how_they_ended(tmp_path):
    from tensorboard.plugins.hparams import api_pb2

    def train(name, rate, values, start=0):
        writer = TensorBoard(tmp_path / name, start, {"rate": rate, "sizes": [8], "clip": None})
        try:
            for step, value in values.items():
                writer.write(step, {"validation/accuracy": value}, {})
                if value > 1:
                    raise ValueError("too good")
        finally:
            writer.close()

    train("0", 0.1, {1: 0.5, 2: 0.75})
    for name in ("1", "2"):
        with pytest.raises(ValueError, match="too good"):
            train(name, 0.2, {1: 0.25, 2: 2.0})
    train("2", 0.2, {2: 0.5}, start=1)
    sessions = {group.name: group for group in session_groups(tmp_path)}
    compared = {
        name: (
            group.hparams["rate"].number_value,
            group.hparams["sizes"].string_value,
            [(metric.name.tag, metric.value) for metric in group.metric_values],
            api_pb2.Status.Name(group.sessions[0].status),
        )
        for name, group in sessions.items()
    }
    assert compared == {
        "0/tensorboard": (0.1, "[8]", [("validation/accuracy", 0.75)], "STATUS_SUCCESS"),
        "1/tensorboard": (0.2, "[8]", [("validation/accuracy", 2.0)], "STATUS_FAILURE"),
        "2/tensorboard": (0.2, "[8]", [("validation/accuracy", 0.5)], "STATUS_SUCCESS"),
    }


def session_groups(folder):
    """Gives the rows of HPARAMS as TensorBoard's own backend makes them."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    events = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(events, str(folder))))
    wanted = api_pb2.ListSessionGroupsRequest(
        slice_size=100, include_metrics=True, allowed_statuses=api_pb2.Status.values()
    )
    return Handler(RequestContext(), context, "", wanted).run().session_groups
