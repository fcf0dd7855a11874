import datasets
import jax
import numpy as np
import pytest

from runner.core import Feature
from runner.datasets import hf, hf_streaming

ROWS = 100
COLUMNS = ["a", "b"]


@pytest.fixture(autouse=True)
def rows(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    a, b = random.normal(size=ROWS).astype(np.float32), random.integers(0, 9, ROWS)
    columns = {
        "a": a,
        "b": b,
        "x": random.normal(size=(ROWS, 3)).tolist(),
        "y": ((a + b) > 4).astype(np.int64),
    }
    made = datasets.Dataset.from_dict(columns)
    made.to_parquet("rows.parquet")
    made.cast_column("y", datasets.ClassLabel(names=["no", "yes"])).save_to_disk("saved")
    return columns


@pytest.mark.parametrize("path", ["rows.parquet", "saved"])
def test_rows_are_killed_and_resume(path, resumed):
    case = resumed("dataset=hf", f"dataset.path={path}", "dataset.batch_size=8", "dataset.inputs=[a,b]")
    assert case.dataset.spec.features["x"] == Feature((2,), "float32")
    assert case.dataset.spec.classes == 2
    assert case.dataset.spec.labels == (("no", "yes") if path == "saved" else ())


@pytest.mark.parametrize("size", [60, None])
def test_streaming_rows_are_killed_and_resume_in_another_order_each_epoch(size, resumed):
    sizes = [
        "dataset.validation=25",
        "dataset.test=15",
        f"dataset.size={size or 'null'}",
        "dataset.shuffle=20",
    ]
    case = resumed("dataset=hf_streaming", "dataset.path=rows.parquet", "dataset.batch_size=8", *sizes)
    source = case.dataset.train
    x = source.feed(jax.random.key(0), 0, 14)["x"].reshape(2, 7, 8, 3)
    assert len(np.unique(x[0].reshape(-1, 3), axis=0)) == 56
    assert not np.array_equal(x[0], x[1])


def test_rows_are_those_of_the_file(rows):
    data = hf("rows.parquet", batch_size=8, validation=0.3)
    x = data.validation.feed(jax.random.key(0), 0, 1)["x"][0]
    assert x.shape == (30, 3)
    assert {tuple(row) for row in x.tolist()} <= {tuple(row) for row in np.float32(rows["x"]).tolist()}
    stream = hf_streaming("rows.parquet", validation=7, test=5)
    np.testing.assert_array_equal(
        stream.test.feed(jax.random.key(0), 0, 1)["x"][0], np.float32(rows["x"])[7:12]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "none.parquet"}, "path: none.parquet leads to nothing; need .parquet or .arrow files"),
        ({"inputs": ["a", "c"]}, "inputs: rows.parquet has no column 'c'; it has a, b, x, y"),
        ({"target": "c"}, "target: rows.parquet has no column 'c'"),
    ],
)
def test_what_is_missing_is_refused(settings, message):
    for function in (hf, hf_streaming):
        with pytest.raises(ValueError, match=f"^{message}"):
            function(**{"path": "rows.parquet", **settings})
