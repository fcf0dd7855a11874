"""A table as people have it trains, evaluates and predicts in three commands, without any preparation."""

import csv
import io
import json
from pathlib import Path

import polars
import pytest
from messy_tables import HEADER, customers

from runner import open_run
from runner.cli import main

DATA = [
    "dataset=csv",
    "dataset.path=customers.csv",
    "dataset.target=churn",
    "dataset.drop=[id]",
    "dataset.categories=[month]",
    "dataset.missing=mean",
]


@pytest.mark.slow
def test_a_messy_table_trains_evaluates_and_predicts_without_preparation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("customers.csv").write_text(customers(), encoding="utf-8")
    main([*DATA, "steps=600", "figures=false", "hydra.run.dir=runs/churn"])
    printed = capsys.readouterr()
    shown = printed.out + printed.err
    assert "joined: dates from 2019-01-0" in shown
    assert "month: 12 categories" in shown
    spec = open_run("runs/churn").spec
    assert [column.name for column in spec.columns] == [
        "joined",
        "month",
        "plan",
        "city",
        "spent",
        "visits",
        "income",
    ]
    assert spec.columns[2].categories == ("basic", "family, large", "pro", "missing")
    assert all(column.fill is not None for column in spec.columns)
    main(["evaluate", "runs/churn", "split=test"])
    (evaluation,) = Path("runs/churn/evaluations").glob("*.json")
    metrics = json.loads(evaluation.read_text())
    accuracy = next(value for name, value in _leaves(metrics) if name.endswith("accuracy"))
    assert accuracy > 0.95  # 0.94 of the customers stay
    Path("new.csv").write_text(_others(), encoding="utf-8")
    main(["predict", "runs/churn", "new.csv", "strict=true"])
    written = polars.read_csv("runs/churn/predictions/new.csv")
    assert written.columns[:3] == ["note", "income", "visits"]
    assert not written["predicted_churn"].has_nulls()
    assert (written["probability_yes"] + written["probability_no"]).is_close(1, abs_tol=1e-5).all()
    right = written["predicted_churn"] == polars.Series([row[-1] for row in _rows()])
    assert right[2:].mean() > 0.95


def _rows():
    return [*csv.reader(io.StringIO(customers(size=200, seed=1)))][1:]


def _others():
    """Returns other customers, with the columns in another order, an unknown city, and one of whom nothing is known."""
    rows, content = _rows(), io.StringIO()
    rows[0][4] = "Oslo"
    rows[1][1:-1] = [""] * 7
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(["note", *HEADER[7:0:-1]])
    writer.writerows(["a, b", *row[7:0:-1]] for row in rows)
    return content.getvalue()


def _leaves(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, node
