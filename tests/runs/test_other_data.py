"""What an evaluation evaluates is recorded, and other data than those of the run are evaluated only when asked for."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from runner import open_run
from runner.cli import main
from runner.core import Dataset
from runner.datasets import Arrays, image_folder
from runner.runs import provenance

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"


@pytest.fixture
def run(tmp_path):
    """Copies a run whose digest has the first version, and its table, into the working directory."""
    shutil.copytree(RUNS / "csv", tmp_path / "csv")
    shutil.copy(RUNS / "table.csv", tmp_path)
    return open_run("csv")


def append(path, row="0.5,red,1.0\n"):
    with Path(path).open("a") as table:
        table.write(row)


def written(run):
    (path,) = Path("csv/evaluations").glob("*.json")
    return json.loads(path.read_text())


def test_an_evaluation_says_what_it_evaluated_and_replaces_only_one_of_the_same(run, capsys):
    main(["evaluate", "csv", "split=test"])
    main(["evaluate", "csv", "split=test"])
    (entry,) = written(run)["evaluations"]
    assert entry.pop("metrics") == written(run)["test"]
    assert entry == {
        "step": run.step(),
        "weights": "raw",
        "split": "test",
        "rows": run.dataset.test.size,
        "data": provenance.digest(run.dataset),
        "versions": provenance.versions(),
    }
    assert f"{entry['rows']} rows" in capsys.readouterr().out


def test_data_that_have_changed_are_evaluated_only_when_asked_and_next_to_the_old_results(run, refused):
    main(["evaluate", "csv", "split=test"])
    before = written(run)
    append("table.csv")
    message = refused(["evaluate", "csv", "split=test"])
    assert "its data have changed since it began (digest 3cc16818 there, " in message
    assert "allow=data" in message
    assert "allow: 'all' is not data" in refused(["evaluate", "csv", "allow=all"])
    main(["evaluate", "csv", "split=test", "allow=data"])
    after = written(run)
    assert after["test"] == before["test"]
    first, second = after["evaluations"]
    assert [first] == before["evaluations"]
    assert second["data"] != first["data"]


def test_a_path_on_the_command_is_consent_to_other_data_that_fit(run, refused):
    shutil.copy("table.csv", "new.csv")
    append("new.csv")
    Path("away").mkdir()
    os.chdir("away")
    main(["evaluate", "../csv", "dataset.path=../new.csv"])
    os.chdir("..")
    assert "validation" not in written(run)
    (entry,) = written(run)["evaluations"]
    other = open_run("csv", paths={"dataset.path": "new.csv"})
    assert other.config["dataset"]["path"] == str(Path("new.csv").absolute())
    assert entry["metrics"] == other.evaluate()[0]
    append("new.csv", "0.5,purple,1.0\n")
    assert "dataset: does not fit the net of this run: its features are " in refused(
        ["evaluate", "csv", "dataset.path=new.csv"]
    )
    assert (
        "dataset.target: is no path that an opened run can replace; those of this run: dataset.path"
        in refused(["evaluate", "csv", "dataset.target=length"])
    )


def test_the_status_of_a_moved_run_recommends_its_new_path(run, capsys):
    shutil.move("csv", "moved run")
    info = Path("moved run/run.json")
    info.write_text(info.read_text().replace('"status": "finished"', '"status": "stopped"'))
    main(["status", "moved run"])
    assert f"resume by: runner resume '{Path('moved run').absolute()}'" in capsys.readouterr().out


def test_a_run_that_began_with_a_relative_path_works_from_any_folder(run, refused):
    info = Path("csv/run.json")
    info.write_text(json.dumps(json.loads(info.read_text()) | {"folder": str(Path.cwd())}))
    Path("away").mkdir()
    os.chdir("away")
    main(["evaluate", "../csv"])
    shutil.copy("../table.csv", ".")  # what the path means here comes first, and is compared
    append("table.csv")
    assert "its data have changed" in refused(["evaluate", "../csv"])
    Path("table.csv").unlink()
    main(["resume", "../csv", "steps=5"])
    assert open_run("../csv").checkpoints.newest() == 5


def rows(*splits):
    return Dataset(*(Arrays({"x": np.asarray(x, np.float32)}, 1) for x in splits))


def test_a_digest_has_a_version_and_the_second_one_contains_the_split():
    one, other = rows([[1.0], [2.0]], [[3.0]], [[4.0]]), rows([[1.0], [2.0]], [[3.0], [4.0]], [[4.0]])
    first = provenance.digest(one, version=1)
    assert len(first) == 64
    assert provenance.digest_like(first, one) == first
    assert provenance.digest_like(provenance.digest(one), one) == provenance.digest(one)
    moved = rows([[1.0], [2.0]], [[3.0], [4.0]], [[4.0]]), rows([[1.0], [2.0]], [[3.0]], [[4.0], [4.0]])
    assert len({provenance.digest(each, version=1) for each in moved}) == 1
    assert len({provenance.digest(each) for each in (one, other, *moved)}) == 3


def test_images_are_identified_by_names_sizes_and_content_and_not_by_times():
    from PIL import Image

    for number in range(12):
        path = Path("photos", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    digest = lambda: provenance.digest(image_folder("photos", size=8, batch_size=2))
    first = digest()
    os.utime("photos/a/0.png", (0, 0))
    shutil.move("photos", "moved")
    shutil.copytree("moved", "photos")
    assert digest() == first
    Image.new("RGB", (8, 8), (0, 9, 0)).save("photos/a/0.png")
    changed = digest()
    shutil.move("photos/a/0.png", "photos/a/00.png")
    assert len({first, changed, digest()}) == 3
