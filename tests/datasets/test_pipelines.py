"""Streams that end, continue from a state, or come from a function of the user."""

import dataclasses
import itertools
import json
import logging
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner import Loop, datasets
from runner.cli import main
from runner.core import Dataset
from runner.datasets import Stream, stream
from runner.evaluators.means import passes
from runner.runs.provenance import digest
from runner.storage.checkpoints import Checkpoints

KEY = jax.random.key(0)
ROWS = 10


def batch(first, size=4):
    rows = np.arange(first, min(first + size, ROWS))
    return {"x": np.stack([rows, rows], 1).astype(np.float32), "y": rows % 2}


def one_pass():
    return [batch(first) for first in range(0, ROWS, 4)]


class Iterable:
    """Has no length, and can be visited again and again."""

    def __iter__(self):
        return iter(one_pass())


class Stateful:
    """Has iterators with a state, as those of Grain."""

    def __init__(self):
        self.visits = 0

    def __iter__(self):
        self.visits += 1
        return Counting()


class Counting:
    def __init__(self):
        self.next = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.next == 5:
            raise StopIteration
        self.next += 1
        return {"x": np.full((2, 1), self.next, np.float32)}

    def get_state(self):
        return {"next": self.next}

    def set_state(self, state):
        self.next = state["next"]


def x_of(source):
    feeds = [(item, rows) for _, item, rows in passes(KEY, source)]
    return np.concatenate([np.asarray(item["x"])[:rows, 0] for item, rows in feeds]).tolist()


@pytest.mark.parametrize("batches", [one_pass(), Iterable(), lambda start: iter(one_pass()[start:])])
def test_a_pass_over_a_stream_of_known_size_has_each_row_once(batches):
    source = Stream(batches, size=ROWS)
    assert source.size == ROWS
    assert x_of(source) == x_of(source) == list(range(ROWS))


def test_a_short_batch_is_refused_where_it_is_not_the_rest_of_the_size():
    for size in (None, 9):
        with pytest.raises(ValueError, match=r"^batch 2 of the stream has shapes"):
            Stream(Iterable(), size=size).feed(KEY, 0, 3)
    with pytest.raises(ValueError, match=r"^size: 0 is less than 1"):
        Stream(Iterable(), size=0)


def test_a_spec_is_computed_from_as_many_rows_as_are_asked_for():
    labels = [{"x": np.full((2, 1), number, np.float32), "y": np.array([0, number])} for number in range(4)]
    source = Stream(labels, measured=6)
    assert (source.spec.classes, float(source.spec.mean["x"][0])) == (3, 1.0)
    assert source.feed(KEY, 0, 3)["y"].tolist() == [[0, 0], [0, 1], [0, 2]]
    assert Stream(labels, classes=7).spec.classes == 7


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"^batch 0 of the stream, y: row 1 is 2147483648 \(1 of 2 values too large"
    ):
        Stream([{"x": np.ones((2, 1)), "y": np.array([0, 2**31])}])


@dataclasses.dataclass(frozen=True)
class Adding:
    """A scenario whose state is what it has seen, in order."""

    def init(self, key, spec):
        return jnp.zeros(32)

    def step(self, key, state, batch):
        return jnp.roll(state, 1).at[0].set(batch["x"].sum()), {}

    def evaluate(self, key, state, batch):
        return {"first": batch["x"][:, 0]}


def trained(batches, steps, folder, stop=None):
    with Checkpoints(folder) as checkpoints:
        loop = Loop(steps, save_every=4)
        return loop.run(Adding(), Stream(batches), key=KEY, checkpoints=checkpoints, stop=stop).tolist()


@pytest.mark.parametrize("create", [Stateful, lambda: iter(Counting())], ids=["iterable", "iterator"])
def test_a_run_continues_from_the_state_of_an_iterator_that_read_ahead(create, tmp_path):
    batches = create()
    assert Stream(batches).exact
    whole = trained(create(), 8, tmp_path / "whole") if create is Stateful else None
    first = trained(create(), 4, tmp_path / "parts")
    assert first[:4] == [8, 6, 4, 2]
    if whole is not None:
        assert trained(create(), 8, tmp_path / "parts") == whole
        assert whole[:8] == [6, 4, 2, 10, 8, 6, 4, 2]
    else:
        assert trained(create(), 5, tmp_path / "parts")[:5] == [10, 8, 6, 4, 2]


def test_a_stream_that_cannot_resume_starts_again_and_says_so(tmp_path, caplog):
    trained(Iterable(), 2, tmp_path)
    assert not Stream(Iterable()).exact
    caplog.set_level(logging.WARNING, "runner")
    logging.getLogger("runner").propagate = True
    assert trained(Iterable(), 4, tmp_path)[:4] == [44, 12, 44, 12]
    assert [record.message for record in caplog.records] == [
        "warning: the data starts again from its first batch, because its stream cannot be resumed"
    ]


def test_the_digest_of_a_dataset_contains_the_first_batches_of_its_streams():
    def of(batches, version=3):
        source = Stream(batches)
        return digest(Dataset(source, source, source), version)

    other = [batch(0) | {"y": 1 - batch(0)["y"]}, batch(4)]
    assert of([batch(0), batch(4)]) == of([batch(0), batch(4)])
    assert of([batch(0), batch(4)]) != of(other)
    assert of([batch(0), batch(4)]) != of([batch(0)])
    assert of([batch(0), batch(4)], 2) == of(other, 2)
    assert of(iter([batch(0)])) == of(iter([other[0]]))


def make(split, start, scale=1.0):
    for number in itertools.count(start):
        key = np.random.Philox(("train", "validation", "test").index(split)).jumped(number)
        x = np.random.Generator(key).normal(size=(8, 2))
        yield {"x": scale * x.astype(np.float32), "y": (x.sum(1) > 0).astype(np.int64)}


def finite(split):
    return Iterable() if split == "train" else one_pass()


def test_a_function_of_the_user_provides_streams():
    data = stream(make, {"scale": 10.0}, size=80, validation=20, test=8)
    assert [source.size for source in data] == [80, 20, 8]
    assert [source.resumable for source in data] == [True] * 3
    assert data.spec is data.validation.spec
    assert 8 < data.spec.std["x"].min() < 12
    assert data.spec.classes == 2
    assert stream(finite, validation=ROWS, test=ROWS, classes=5).spec.classes == 5


@pytest.mark.parametrize(
    ("function", "settings", "message"),
    [
        (make, {"validation": 20}, "test: the end of a pass is not known; say the number of its rows"),
        (make, {"size": 0}, "size: 0 is less than 1"),
        (lambda split: 3, {}, "make: the batches of train are a int; need an iterable, or a function"),
        (
            lambda split: iter(one_pass()),
            {"validation": ROWS, "test": ROWS},
            "make: the batches of validation are an iterator, which can be read only once; return an iterable",
        ),
    ],
)
def test_what_a_function_provides_is_refused_in_one_line(function, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        stream(function, **settings)


MODULE = """
import itertools
import numpy as np

def exact(split, start, scale=1.0):
    for number in itertools.count(start):
        x = np.random.Generator(np.random.Philox((len(split), number))).normal(size=(8, 2))
        yield {"x": scale * x, "y": (x.sum(1) > 0).astype(int)}

class Loader:
    def __iter__(self):
        return itertools.islice(exact("train", 0), 5)

def inexact(split):
    return Loader()
"""


@pytest.mark.slow
def test_a_run_on_a_stream_of_the_command_line_resumes_exactly_and_counts_epochs(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "own_batches.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["dataset=stream", "dataset.make=own_batches.exact", "dataset.settings={scale: 2.0}"]
    command += ["dataset.size=16", "dataset.validation=12", "dataset.test=8", "net.hidden_sizes=[2]"]
    command += ["loop.log_every=2", "figures=false"]
    main([*command, "steps=4", "hydra.run.dir=parts"])
    assert "epoch 2.0" in capsys.readouterr().out
    main(["resume", "parts", "steps=6", "trust_code=true"])
    main([*command, "steps=6", "hydra.run.dir=whole"])
    whole, parts = (
        (tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "parts")
    )
    assert json.loads(whole[-1]) == json.loads(parts[-1])
    assert "cannot be resumed exactly" not in (tmp_path / "whole" / "runner.log").read_text()


def test_a_run_on_a_stream_that_cannot_resume_says_so_at_its_start(tmp_path, monkeypatch):
    (tmp_path / "own_loader.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["dataset=stream", "dataset.make=own_loader.inexact", "dataset.validation=12", "dataset.test=8"]
    main([*command, "net.hidden_sizes=[2]", "steps=4", "figures=false", "hydra.run.dir=run"])
    assert "a run on this stream cannot be resumed exactly" in (tmp_path / "run" / "runner.log").read_text()


@pytest.mark.parametrize(
    ("create", "library", "extra"),
    [
        (lambda: datasets.grain(make), "grain", "grain"),
        (lambda: datasets.tfds("mnist"), "tensorflow_datasets", "tfds"),
        (lambda: datasets.hf("rows.parquet"), "datasets", "hf"),
        (lambda: datasets.hf_streaming("rows.parquet"), "datasets", "hf"),
        (lambda: datasets.webdataset("a.tar", "b.tar", "c.tar"), "webdataset", "webdataset"),
        (lambda: datasets.torch(make), "torch", "torch"),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    create, library, extra, monkeypatch
):
    monkeypatch.setitem(sys.modules, library, None)  # also where it is installed
    command = re.escape(f"{library} is not installed: say pip install 'jax-runner[{extra}]'")
    with pytest.raises(ValueError, match=f"^{command}"):
        create()
