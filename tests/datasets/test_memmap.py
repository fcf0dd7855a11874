"""Rows that are read from files when they are needed."""

import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from runner.core import Feature
from runner.datasets import memmap, npz
from runner.evaluators.means import passes
from runner.runs.provenance import digest

KEY = jax.random.key(3)
ROWS = 41


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {"x": random.normal(size=(ROWS, 2, 3)), "y": random.integers(0, 3, ROWS)}


@pytest.fixture
def paths(arrays, tmp_path):
    for name, rows in arrays.items():
        np.save(tmp_path / f"{name}.npy", rows)
    np.savez(tmp_path / "both.npz", **arrays)
    return {"path": str(tmp_path / "x.npy"), "target_path": str(tmp_path / "y.npy")}


def batches(source, start, length):
    feed = source.feed(KEY, start, length)
    return [source.batch(KEY, jax.tree.map(lambda rows, at=at: rows[at], feed)) for at in range(length)]


def test_batches_are_those_of_the_same_rows_in_memory(paths, tmp_path):
    mapped = memmap(**paths, batch_size=7, validation=0.2, test=0.2)
    whole = npz(str(tmp_path / "both.npz"), batch_size=7, validation=0.2, test=0.2)
    for one, other in zip(mapped, whole, strict=True):
        assert (one.size, one.batch_size) == (other.size, other.batch_size)
        for first, second in zip(batches(one, 2, 5), batches(other, 2, 5), strict=True):
            assert first.keys() == second.keys()
            for name in first:
                assert first[name].dtype == second[name].dtype
                np.testing.assert_array_equal(first[name], second[name])
    assert mapped.spec.features == whole.spec.features
    assert mapped.spec.classes == whole.spec.classes
    np.testing.assert_array_equal(mapped.spec.mean["x"], whole.spec.mean["x"])


def test_bytes_become_floats_on_the_device_and_float_targets_are_a_regression(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(200, dtype=np.uint8).reshape(50, 4))
    np.save(tmp_path / "y.npy", np.linspace(0, 1, 100).reshape(50, 2))
    data = memmap(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), batch_size=5)
    assert data.spec.features == {"x": Feature((4,), "float32"), "y": Feature((2,), "float32")}
    assert data.spec.classes is None
    assert data.train.feed(KEY, 0, 1)["x"].dtype == np.uint8
    (batch,) = batches(data.train, 0, 1)
    assert batch["x"].dtype == "float32"
    np.testing.assert_allclose(batch["y"][:, 0], (batch["x"][:, 0] / 2) / 99, rtol=1e-5)


def test_a_pass_has_each_row_once_and_is_read_in_parts(paths, monkeypatch):
    monkeypatch.setattr("runner.evaluators.means.AT_ONCE", 1)
    source = memmap(**paths, batch_size=4, validation=0.4).validation
    source.batch_size = 3
    rows = [item["x"][:count] for _, item, count in passes(KEY, source)]
    assert sum(map(len, rows)) == source.size == 16
    assert len(np.unique(np.concatenate(rows), axis=0)) == 16


def test_the_digest_follows_the_rows(paths, arrays):
    before = digest(memmap(**paths, batch_size=4))
    assert digest(memmap(**paths, batch_size=4)) == before
    arrays["x"][7, 1, 2] += 1
    np.save(paths["path"], arrays["x"])
    assert digest(memmap(**paths, batch_size=4)) != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: {"x": x[0, 0]}, r"path: .* has shape \(3,\); need rows of values"),
        (lambda x, y: {"x": x.astype(str)}, r"path: .* holds <U.* of shape .*; need rows of numbers"),
        (
            lambda x, y: {"x": np.asfortranarray(x)},
            "path: .* is stored by columns; save np.ascontiguousarray",
        ),
        (lambda x, y: {"x": x.astype(object)}, r"path: .* is not a whole .npy file of numbers"),
        (lambda x, y: {"y": y[:5]}, r"target_path: .* has 5 rows, and .* has 41"),
        (lambda x, y: {"y": y - 1}, r"target_path: row \d+ is -1; classes are numbered from 0"),
        (lambda x, y: {"y": np.stack([y, y], 1)}, r"target_path: whole numbers of shape \(41, 2\)"),
    ],
)
def test_what_is_no_array_of_rows_is_refused(paths, arrays, change, message):
    for name, rows in change(**arrays).items():
        np.save(paths["path" if name == "x" else "target_path"], rows)
    with pytest.raises(ValueError, match=f"^{message}"):
        memmap(**paths)


def test_files_that_are_no_arrays_are_refused(paths, tmp_path):
    with pytest.raises(ValueError, match=r"^path: cannot read .*missing.npy: No such file"):
        memmap(str(tmp_path / "missing.npy"))
    with pytest.raises(ValueError, match=r"^path: .*both.npz is an archive, of which no part can be read"):
        memmap(str(tmp_path / "both.npz"))
    os.truncate(paths["path"], 500)
    with pytest.raises(ValueError, match=r"^path: .*x.npy is not a whole .npy file of numbers"):
        memmap(**paths)
    np.save(tmp_path / "small.npy", np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"^batch_size: 99 is more than 3"):
        memmap(str(tmp_path / "small.npy"), batch_size=99)


def test_a_row_that_cannot_be_used_is_named_by_its_number_in_the_file(paths, arrays):
    data = memmap(**paths, batch_size=4)
    row = int(data.train._part.numbers[9])
    arrays["x"][row, 1, 2] = np.inf
    np.save(paths["path"] + ".new.npy", arrays["x"])
    os.replace(paths["path"] + ".new.npy", paths["path"])
    with pytest.raises(ValueError, match=re.escape(f"x: row {row} at (1, 2) is inf")):
        memmap(**paths, batch_size=4)


def test_a_file_that_becomes_shorter_ends_with_one_line(paths):
    data = memmap(**paths, batch_size=4)
    os.truncate(paths["path"], os.path.getsize(paths["path"]) // 2)
    with pytest.raises(ValueError, match=r"^path: .*x.npy has become shorter while it was read, at row \d+"):
        data.train.feed(KEY, 0, 20)


TRAINED = """
import os, sys
from runner.cli import main
main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) // 1024)
sys.stdout.flush()
"""


@pytest.mark.slow
def test_a_file_of_4_gib_trains_with_less_than_1_gib_of_memory(tmp_path):
    rows = 2**18  # of 16 KiB; the file is sparse, and takes no room on the disk
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, 4096)).flush()
    assert os.path.getsize(tmp_path / "x.npy") > 2**32
    np.save(tmp_path / "y.npy", np.arange(rows) % 2)
    command = ["dataset=memmap", "dataset.path=x.npy", "dataset.target_path=y.npy", "net.hidden_sizes=[4]"]
    command += ["dataset.batch_size=512", "dataset.validation=0.01", "steps=50", "figures=false"]
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, *command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(done.stdout.rpartition("peak ")[2]) < 1024
