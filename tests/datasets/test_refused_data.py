"""What wrong data get: one line that says where, what and what to do; and what is only odd is reported."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from runner.compose.build import build
from runner.compose.command_line import compose
from runner.datasets.checks import report


def _with(rows, value):
    changed = rows.copy()
    changed[(3, 1)[: rows.ndim]] = value
    return changed


NPZ = ["dataset=npz", "dataset.path=my.npz"]
CSV = ["dataset=csv", "dataset.path=my.csv", "dataset.target=y"]

FILES = {
    "": ["is empty"],
    "x,y\n": ["no rows"],
    "x\n1\n": ["one column"],
    "x,z\n1,2\n": ["dataset.target", "'y'", "x, z"],
    "x,y\n1,2\n3\n": ["line 3", "1 cells"],
    "x,y\n1,0\ntwo,1\n3,0\n": ["x", "line 3", "'two'"],
    "x,y\n1,0\nnan,1\n3,0\n": ["x", "line 3", "nan"],
    "x,y\n1,0\n,1\n3,0\n": ["x", "line 3", "empty"],
    "x,x,y\n1,2,3\n": ["'x' twice"],
    "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n": ["dataset.batch_size", "64", "rows"],
}

X, Y = np.arange(60, dtype=np.float32).reshape(20, 3), np.arange(20) % 3
# The arrays of a file, or its bytes, and words of the refusal.
ARRAYS = {
    "NaN": ({"x": _with(X, np.nan), "y": Y}, "x: row 3, column 1 is NaN (1 of 60 values not finite"),
    "inf": ({"x": _with(X, np.inf), "y": Y}, "x: row 3, column 1 is inf"),
    "too large": ({"x": _with(X.astype(np.float64), 1e39), "y": Y}, "x: row 3, column 1 is 1e+39"),
    "overflown": ({"x": _with(X.astype(np.float16), np.inf), "y": Y}, "not finite in float16"),
    "objects": ({"x": X.astype(object), "y": Y}, "holds Python objects"),
    "texts": ({"x": X.astype(str), "y": Y}, "x: dtype <U32; need floats or whole numbers"),
    "complex": ({"x": X + 1j, "y": Y}, "x: dtype complex64"),
    "times": ({"x": X.astype("datetime64[s]"), "y": Y}, "x: dtype datetime64[s]"),
    "records": ({"x": np.zeros(20, [("a", "f4")]), "y": Y}, "x: dtype [('a', '<f4')]"),
    "a number": ({"x": np.float32(1), "y": Y}, "x: a single number; need rows [N, ...]"),
    "no values": ({"x": X[:, :0], "y": Y}, "x: shape (20, 0)"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "x: shape (0, 3); need rows"),
    "one row": ({"x": X[:1], "y": Y[:1] / 2}, "leave none to train on"),
    "few rows": ({"x": X[:9], "y": Y[:9]}, "dataset.batch_size: 8 rows a batch, of 7 rows; need 1 to 7"),
    "numbers for classes": ({"x": X, "y": Y.astype(float)}, "no classes: use scenario=regression"),
    "a label above": ({"x": X, "y": _with(Y, 2**40)}, "y: row 3 is 1099511627776 (1 of 20 values too large"),
    "one class": ({"x": X, "y": 0 * Y}, "y: every row is 0; need two classes"),
    "labels in a column": ({"x": X, "y": Y[:, None]}, "y: whole numbers of shape (20, 1)"),
    "one label": ({"x": X, "y": Y[:1]}, "y: 1 rows; x has 20"),
    "too few labels": ({"x": X, "y": Y[:-1]}, "y: 19 rows; x has 20"),
    "other names": ({"a": X, "b": Y}, "has no array 'x'; it holds a, b"),
    "half a file": (b"PK\3\4 and no more", "is not a whole .npz file"),
    "a pickle": (pickle.dumps(X), "is not a whole .npz file"),
}

# Arrays that are trained on, further settings, and what is reported of them.
REPORTED = {
    "large": (
        {"x": _with(X, 3e38), "y": Y},
        [],
        ["warning: x: row 3, column 1 is 3e+38, whose square overflows; rescale x"],
    ),
    "rounded": (
        {"x": X.astype(float) + 1e-4, "y": X[:, 0].astype(float) + 1e9},
        ["scenario=regression"],
        [
            "note: x: float64 is read as float32 (largest error 8.2e-07)",
            "note: y: float64 is read as float32 (largest error 31)",
        ],
    ),
    "exact": ({"x": X.astype(np.float16), "y": X[:, 0].astype(float)}, ["scenario=regression"], []),
    "pixels": ({"x": np.uint8(4 * X), "y": Y}, [], []),
    "pixels as they are": (
        {"x": np.uint8(4 * X), "y": Y},
        ["scenario.standardize=false"],
        ["warning: x: values of about 185 reach the nets as they are; say scenario.standardize=true"],
    ),
    "pixels of a GAN": (
        {"x": np.uint8(4 * X), "y": Y},
        ["scenario=gan", "evaluation.size=2"],
        ["warning: x: values of about 185 reach the nets as they are; scale them in the data"],
    ),
    "alike": (
        {"x": 0 * X, "y": Y},
        [],
        ["warning: x: all rows are equal, so that nothing can be learned from them"],
    ),
}


@pytest.mark.parametrize("text", FILES)
def test_a_wrong_table_is_refused_by_line_and_column(text, refused):
    Path("my.csv").write_text(text)
    line = refused(CSV)
    assert all(word in line for word in FILES[text]), line


def write(name):
    held = ARRAYS[name][0]
    if isinstance(held, bytes):
        Path("my.npz").write_bytes(held)
    else:
        np.savez("my.npz", **held)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_wrong_array_is_refused_by_row_and_column(name, refused):
    write(name)
    assert ARRAYS[name][1] in refused([*NPZ, "dataset.batch_size=8"])


@pytest.mark.parametrize("name", ["objects", "texts", "a number", "no rows", "other names", "half a file"])
def test_wrong_rows_are_not_predicted(name, runs, refused):
    write(name)
    assert ARRAYS[name][1] in refused(["predict", str(runs / "supervised"), "my.npz"])


def test_rows_with_another_count_of_features_are_not_predicted(runs, refused):
    write("few rows")
    line = refused(["predict", str(runs / "supervised"), "my.npz"])
    assert "x: each has shape (3,); the net of this run takes (4,)" in line


@pytest.mark.parametrize("name", REPORTED)
def test_what_is_odd_in_data_is_reported_once_in_a_process(name, caplog):
    arrays, settings, messages = REPORTED[name]
    np.savez("my.npz", **arrays)
    report.cache_clear()
    for seed in (1, 2):
        build(compose([*NPZ, "dataset.batch_size=8", f"seed={seed}", *settings]))
    assert [record.message for record in caplog.records] == messages
