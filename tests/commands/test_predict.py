"""What `runner predict` and `Run.predict` read, and what is written."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars
import pytest
from PIL import Image

from runner import open_run
from runner.cli import main
from runner.commands.predict import _columns, _path
from runner.core import Spec
from runner.datasets.images import rows
from runner.datasets.inputs import inputs_of
from runner.datasets.lines import continued
from runner.runs.predictions import Predicted
from runner.storage.checkpoints import Checkpoints

ROWS = np.float32([[5.1, 3.5, 1.4, 0.2], [6.0, 2.2, 5.0, 1.5], [7.7, 2.6, 6.9, 2.3]])


@pytest.fixture
def flowers(runs, tmp_path):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    return open_run("run")


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def table_of(run):
    names = [column.name for column in run.spec.columns]
    return polars.DataFrame({"who": ["=a", "b", "c"], **dict(zip(names, ROWS.T, strict=True))})


def test_a_table_gets_the_class_and_the_probability_of_every_class(flowers, capsys):
    table = table_of(flowers)
    table.select(reversed(table.columns)).write_csv("mine.csv")
    main(["predict", "run", "mine.csv"])
    written, logits = polars.read_csv("run/predictions/mine.csv"), flowers.predict(ROWS)
    labels, probabilities = flowers.spec.labels, softmax(logits)
    assert written["who"].to_list() == ["'=a", "b", "c"]
    assert written["predicted_target"].to_list() == [labels[place] for place in logits.argmax(-1)]
    each = written.select(f"probability_{label}" for label in labels).to_numpy()
    np.testing.assert_allclose(each, probabilities, rtol=1e-5)
    np.testing.assert_allclose(written["probability"], probabilities.max(-1), rtol=1e-5)
    assert "3 predictions at step" in capsys.readouterr().out


def test_the_ending_of_the_output_is_its_format_and_that_of_a_typed_table_is_kept(flowers):
    table_of(flowers).write_csv("mine.csv")
    main(["predict", "run", "mine.csv", "output=new/all.parquet"])
    written = polars.read_parquet("new/all.parquet")
    assert written["who"].to_list() == ["=a", "b", "c"]
    assert written.schema["probability"] == polars.Float32


def test_arrays_of_the_name_on_which_a_run_was_trained_are_predicted_by_row(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    np.savez("mine.npz", features=x, y=y)
    data = ["dataset=npz", "dataset.path=mine.npz", "dataset.inputs=features", "dataset.batch_size=8"]
    main([*data, "net=linear", "steps=2", "figures=false", "hydra.run.dir=run"])
    x[3, 1] = np.nan
    np.savez("new.npz", features=x)
    main(["predict", "run", "new.npz"])
    written = polars.read_csv("run/predictions/new.csv")
    expected = softmax(open_run("run").predict(x))
    assert written["row"].to_list() == [*range(40)]
    assert written.row(3) == (3, None, None, None, None)
    kept = np.arange(40) != 3
    np.testing.assert_allclose(written["probability_1"].to_numpy()[kept], expected[kept, 1], rtol=1e-5)


def test_rows_that_cannot_be_read_are_reported_up_to_ten_or_refused(flowers, refused, capsys):
    x = np.repeat(ROWS, 20, 0)
    x[5:17, 2] = np.inf
    np.savez("new.npz", x=x)
    line = refused(["predict", "run", "new.npz", "strict=true"])
    assert "x: row 5 of new.npz has a value that is not finite" in line
    main(["predict", "run", "new.npz", "--json"])
    shown = capsys.readouterr()
    printed = json.loads(shown.out)
    assert (printed["rows"], len(printed["problems"])) == (60, 12)
    *named, more = shown.err.splitlines()
    assert len(named) == 10
    assert "x: row 5 of new.npz has a value that is not finite; its prediction is left empty" in named[0]
    assert "2 more rows cannot be read" in more
    assert np.isnan(flowers.predict("new.npz")).all(-1).nonzero()[0].tolist() == [*range(5, 17)]
    capsys.readouterr()
    np.savez("new.npz", x=np.inf * x)
    assert "none of the 60 rows can be read" in refused(["predict", "run", "new.npz"])


def test_numbers_are_predicted_in_their_own_units(runs, tmp_path):
    shutil.copytree(runs / "regression", tmp_path / "run")
    run = open_run("run")
    x = np.asarray(run.dataset.test.arrays["x"])
    np.savez("mine.npz", x=x)
    main(["predict", "run", "mine.npz", "step=9"])
    written = polars.read_csv("run/predictions/mine.csv")
    np.testing.assert_allclose(written["predicted_target"], run.predict(x, 9)[:, 0], rtol=1e-5)


def test_the_prediction_of_an_ensemble_has_a_deviation():
    spec, numbers = Spec({"y": ((1,), "float32")}, target="price"), np.float32([[1], [2]])
    run, block = (
        SimpleNamespace(spec=spec, scenario=None),
        Predicted(inputs_of(numbers), numbers, numbers / 4),
    )
    columns = {name: list(values) for name, values in _columns(run, block).items()}
    assert columns == {"predicted_price": [1, 2], "deviation_price": [0.25, 0.5]}


def test_each_line_of_a_text_is_continued_by_one_token(runs, tmp_path):
    shutil.copytree(runs / "language_model", tmp_path / "run")
    run = open_run("run")
    (length,), vocabulary = run.spec.shape("x"), run.spec.vocabulary
    lines = ["ab", "", "b" * length + "a", "a€"]
    Path("lines.txt").write_text("\r\n".join(lines), encoding="utf-8")
    main(["predict", "run", "lines.txt"])
    written = polars.read_csv("run/predictions/lines.csv")
    tokens = np.array([[vocabulary.index(letter) for letter in (lines[2])[-length:]]])
    expected = softmax(run.predict(tokens)[0, -1])
    assert written["next"][2] == vocabulary[expected.argmax()]
    np.testing.assert_allclose(written.row(2)[3:], expected, rtol=1e-4)
    assert written["next"].is_null().to_list() == [False, True, False, True]
    np.testing.assert_allclose(run.predict(["ab"]), run.predict("lines.txt")[:1], rtol=1e-3, atol=1e-5)


def test_a_text_has_the_tokens_that_a_prompt_has():
    spec = Spec({"x": ((4,), "int32")}, vocabulary=["a", "b", "ab", "abba"])
    inputs = continued(["abab", "abba", "bababababb", "c"], spec)
    assert inputs.x.tolist() == [[2, 2, 0, 0], [3, 0, 0, 0], [2, 2, 2, 1]]
    assert (inputs.rows.tolist(), inputs.ends.tolist()) == ([0, 1, 2], [1, 0, 3])
    assert inputs.problems == ("line 4 of the texts: 'c' is not in the vocabulary of this run",)


def test_the_images_of_a_folder_are_predicted_by_name(monkeypatch):
    monkeypatch.setattr(rows, "AT_ONCE", 1)  # so that no image of one block can be read
    for number in range(24):
        folder = Path("photos", "light" if number % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (200 * (number % 2), number, 9)).save(folder / f"{number}.png")
    data = ["dataset=image_folder", "dataset.path=photos", "dataset.size=4", "dataset.batch_size=8"]
    main(
        [*data, "net=linear", "optimizer.learning_rate=0.1", "steps=40", "figures=false", "hydra.run.dir=run"]
    )
    Path("photos/dark/broken.jpg").write_bytes(b"no image")
    main(["predict", "run", "photos"])
    written = polars.read_csv("run/predictions/photos.csv")
    assert written["file"].to_list() == sorted(written["file"])
    assert written.filter(polars.col("file") == "dark/broken.jpg").row(0)[1:] == (None,) * 4
    read = written.filter(polars.col("predicted_y").is_not_null())
    assert len(read) == 24
    assert (read["file"].str.split("/").list.first() == read["predicted_y"]).all()
    run = open_run("run")
    np.testing.assert_array_equal(run.predict("photos/dark/0.png"), run.predict(["photos/dark/0.png"]))


def test_code_predicts_arrays_lists_data_frames_and_paths_alike(flowers):
    expected, table = flowers.predict(ROWS), table_of(flowers)
    table.write_csv("mine.csv")
    for given in (ROWS.tolist(), table, Path("mine.csv"), "mine.csv"):
        np.testing.assert_allclose(flowers.predict(given), expected, rtol=1e-5)


def test_the_checkpoint_is_read_once_until_another_one_has_its_name(flowers, monkeypatch):
    restored, restore = [], Checkpoints.restore
    noted = lambda *arguments: restored.append(arguments[2]) or restore(*arguments)
    monkeypatch.setattr(Checkpoints, "restore", noted)
    first = flowers.predict(ROWS, 9)
    np.testing.assert_array_equal(flowers.predict(ROWS, 9), first)
    assert restored == [9]
    flowers.predict(ROWS, 8)
    shutil.copytree("run/checkpoints/9", "other")
    shutil.rmtree("run/checkpoints/9")
    Path("other").rename("run/checkpoints/9")
    flowers.predict(ROWS, 9)
    assert restored == [9, 8, 9]


def test_more_rows_than_a_block_are_predicted_as_each_alone(flowers):
    x = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    many = flowers.predict(x)
    for row in (0, 250, 599):
        np.testing.assert_allclose(many[row], flowers.predict(x[row : row + 1])[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new.npz", "output=new.xlsx"], "output: new.xlsx does not end in .csv or .parquet"),
        (["mine.csv", "output=mine.csv"], "output: mine.csv is what is predicted; name another file"),
        (["gone.csv"], "there is no file or folder gone.csv"),
        (["photo.png"], "photo.png is an image, and this run was not trained with files of images"),
        (["short.csv"], "no such column"),
        (["again.csv"], "predicted_target: the table has a column with the name of a prediction"),
    ],
)
def test_what_cannot_be_predicted_is_refused_by_one_line(flowers, words, message, refused):
    table = table_of(flowers)
    table.write_csv("mine.csv")
    table.rename({"who": "predicted_target"}).write_csv("again.csv")
    table.select("who").with_columns(a=1).write_csv("short.csv")
    np.savez("new.npz", x=ROWS)
    Path("photo.png").touch()
    assert message in refused(["predict", "run", *words])


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("new.csv", "new.csv"),
        ("v1.2.csv.gz", "v1.2.csv"),
        ("new.npz", "new.csv"),
        ("new.feather", "new.parquet"),
        ("photos.2024", "photos.2024.csv"),
        ("photos.2024/a.png", "a.csv"),
    ],
)
def test_the_file_of_predictions_is_named_for_the_input(source, written):
    Path("photos.2024").mkdir()
    assert _path(Path("run"), Path(source), None) == Path("run/predictions", written)
