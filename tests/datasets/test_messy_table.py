"""A table as people have it trains and evaluates in two commands, without any preparation."""

import json
from pathlib import Path

import pytest
from messy_tables import customers

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
def test_a_messy_table_trains_and_evaluates_without_preparation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("customers.csv").write_text(customers(), encoding="utf-8")
    main([*DATA, "steps=600", "figures=false", "hydra.run.dir=runs/churn"])
    printed = capsys.readouterr()
    shown = printed.out + printed.err
    assert "joined: dates from 2019-01-01 to 2024-06-" in shown
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


def _leaves(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, path)
    else:
        yield path, node
