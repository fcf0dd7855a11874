import jax
import numpy as np
import pytest

from runner.core import Feature, Spec
from runner.datasets import Windows, text

KEY = jax.random.key(0)
LINES = "".join(f"line {number} is ünlike the others\n" for number in range(60))


@pytest.fixture
def path(tmp_path):
    (tmp_path / "text.txt").write_text(LINES)
    return str(tmp_path / "text.txt")


def spell(spec, row):
    return "".join(spec.vocabulary[token] for token in row)


def batches(source, start, length):
    feed = source.feed(KEY, start, length)
    return [source.batch(KEY, item) for item in feed]


def test_windows_are_passages_of_their_part_and_y_is_what_follows(path):
    data = text(path, length=20, batch_size=4)
    train = LINES[: round(0.8 * len(LINES))]
    for batch in batches(data.train, 0, 3):
        assert batch["x"].shape == batch["y"].shape == (4, 20)
        for x, y in zip(batch["x"], batch["y"], strict=True):
            assert spell(data.spec, x) + spell(data.spec, y)[-1] in train
    assert "ü" in data.spec.vocabulary
    assert data.spec.features["x"] == Feature((20,), "int32")


def test_an_epoch_begins_a_window_at_each_token_once():
    tokens = np.arange(50, dtype=np.int32)
    row = Feature((4,), "int32")
    source = Windows(tokens, 4, 2, spec=Spec({"x": row, "y": row}, vocabulary=map(str, tokens)))
    starts = np.concatenate([batch["x"][:, 0] for batch in batches(source, 0, 23)])
    assert sorted(starts.tolist()) == list(range(46))
    again = batches(source, 7, 1)[0]
    assert np.array_equal(again["x"], batches(source, 0, 8)[7]["x"])


def test_held_out_windows_have_each_token_as_a_target_once_in_order(path):
    data = text(path, length=20, batch_size=4)
    batch = batches(data.test, 0, 1)[0]
    written = "".join(spell(data.spec, row) for row in batch["y"])
    assert LINES.endswith(written) or written in LINES[round(0.9 * len(LINES)) :]
    assert data.test.size == (len(LINES) - round(0.9 * len(LINES)) - 1) // 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "nowhere.txt"}, "path: cannot read nowhere.txt"),
        ({"length": 0}, "length: 0 is less than 1"),
        ({"length": 500}, "length: the validation part has .* tokens, too few for a window of 500"),
        ({"validation": 0.0}, "validation: 0.0 is not a fraction"),
        ({"test": 0.9}, "validation: 0.1 and test 0.9 leave nothing"),
        ({"batch_size": 0}, "batch_size: 0"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_setting(path, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        text(**{"path": path, **settings})


def test_what_is_not_utf8_is_refused_with_its_position(tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9 " * 50)
    with pytest.raises(ValueError, match=r"not UTF-8 \(byte 3\)"):
        text(str(tmp_path / "latin"))
