import json
import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from runner.core import Feature, Spec
from runner.core.vocabulary import decode, encode
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


def tokens_of(data):
    whole = [jax.device_get(source.tokens) for source in data]
    return "".join(decode(data.spec.vocabulary, tokens) for tokens in whole)


def test_a_folder_is_read_in_the_order_of_names_and_of_json_lines_a_field(tmp_path):
    (tmp_path / "b.txt").write_text("second " * 20)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.jsonl").write_text(
        "".join(json.dumps({"body": f"né {n}. "}) + "\n\n" for n in range(30))
    )
    (tmp_path / ".hidden.txt").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\xff")
    records = "".join(f"né {number}. " for number in range(30))
    data = text(str(tmp_path), length=8, field="body")
    assert tokens_of(data) == records + "second " * 20
    bounded = text(str(tmp_path), length=8, field="body", boundaries=True)
    assert tokens_of(bounded).split("<|end|>") == [*(f"né {n}. " for n in range(30)), "second " * 20, ""]


@pytest.mark.parametrize("tokenizer", ["characters", "bytes"])
def test_texts_are_normalized(tokenizer, tmp_path):
    (tmp_path / "text.txt").write_text("cafe\u0301 ﬁ " * 40)
    found = lambda form: tokens_of(
        text(str(tmp_path / "text.txt"), length=8, tokenizer=tokenizer, normalize=form)
    )
    assert found(None) == "cafe\u0301 ﬁ " * 40
    assert found("NFC") == "café ﬁ " * 40
    assert found("NFKD") == "cafe\u0301 fi " * 40


def test_bytes_are_tokens_whatever_the_text(path):
    data = text(path, length=20, batch_size=4, tokenizer="bytes")
    assert len(data.spec.vocabulary) == 256
    assert tokens_of(data) == LINES
    assert encode(data.spec.vocabulary, "ü") == (0xC3, 0xBC)
    assert decode(data.spec.vocabulary, [0xC3, 0x41]) == "\ufffdA"
    assert Spec.from_json(json.loads(json.dumps(data.spec.to_json()))).vocabulary == data.spec.vocabulary


def test_a_prompt_is_split_into_the_longest_tokens():
    assert encode(["a", "ab", "abc", "", "c"], "abcabac") == (2, 1, 0, 4)
    with pytest.raises(ValueError, match=r"^'x' is not in the vocabulary of this run"):
        encode(["a"], "ax")


@pytest.mark.parametrize("tokenizer", ["characters", "bytes"])
def test_tokens_in_a_file_are_those_in_memory(tokenizer, path, tmp_path, monkeypatch):
    monkeypatch.setattr("runner.datasets.corpus.PIECE", 50)
    cache = str(tmp_path / "tokens.npy")
    create = lambda **settings: text(path, length=20, batch_size=4, tokenizer=tokenizer, **settings)
    data, memory = create(cache=cache), create()
    assert np.load(cache).tolist() == np.concatenate([source.tokens for source in memory]).tolist()
    for one, other in zip(data[1:], memory[1:], strict=True):
        assert one.size == other.size
        first, second = (
            source.batch(KEY, jax.tree.map(lambda rows: rows[0], source.feed(KEY, 0, 1)))
            for source in (one, other)
        )
        assert np.array_equal(first["x"], second["x"])
        assert np.array_equal(first["y"], second["y"])
        assert first["x"].dtype == second["x"].dtype == "int32"
    size = data.train.size  # the rows of the first epoch
    windows = data.train.feed(KEY, 0, size // 4 + 1)["x"].reshape(-1, 20)[:size].tolist()
    tokens = memory.train.tokens.tolist()
    assert sorted(windows) == sorted(tokens[at : at + 20] for at in range(0, len(tokens) - 20, 20))
    written = os.stat(cache).st_mtime_ns
    create(cache=cache)
    assert os.stat(cache).st_mtime_ns == written
    (tmp_path / "text.txt").write_text(LINES + "more")
    create(cache=cache)
    assert os.stat(cache).st_mtime_ns != written


def test_a_file_of_somebody_else_is_not_overwritten(path, tmp_path):
    (tmp_path / "tokens.npy").write_text("mine")
    with pytest.raises(ValueError, match=r"^cache: .*tokens.npy exists, and has no tokens.npy.json"):
        text(path, cache=str(tmp_path / "tokens.npy"))
    assert (tmp_path / "tokens.npy").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', {}, r"path: .*a.jsonl: line 2 is not JSON"),
        ("a.jsonl", b'{"body": "a"}\n', {}, r"field: line 1 of .*a.jsonl has no text 'text'; it has body"),
        ("a.jsonl", b"[1]\n", {}, r"field: line 1 of .*a.jsonl has no text 'text'; it has a list"),
        ("a.txt", b"one\ntwo\ncaf\xe9", {}, r"path: .*a.txt is not UTF-8 \(byte 11\)"),
        ("a.png", b"", {}, r"path: .* has no texts \(.txt, .md, .jsonl\)"),
        ("a.txt", b"a", {"normalize": "NFX"}, "normalize: 'NFX' is none of NFC, NFD"),
        ("a.txt", b"a", {"tokenizer": "words"}, "tokenizer: 'words' is none of characters, bytes"),
        ("a.txt", b"a", {"tokenizer": "none.json"}, "tokenizer: there is no file none.json"),
        ("a.txt", b"a", {"tokenizer": 100}, "tokenizer: 100 is less than 256"),
        ("a.txt", b"", {}, "length: the train part has 0 tokens"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_by_file_and_line(
    name, content, settings, message, tmp_path, monkeypatch
):
    monkeypatch.setattr("runner.datasets.corpus.PIECE", 4)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{message}"):
        text(str(tmp_path / "texts"), **settings)


@pytest.mark.parametrize(
    ("tokenizer", "library"), [(300, "tokenizers"), ("a.json", "tokenizers"), ("a.model", "sentencepiece")]
)
def test_a_tokenizer_of_a_missing_library_is_refused_with_what_installs_it(
    tokenizer, library, path, monkeypatch
):
    monkeypatch.setitem(sys.modules, library, None)
    Path("a.json").touch()
    Path("a.model").touch()
    with pytest.raises(
        ValueError, match=rf"^{library} is not installed: say pip install 'jax-runner\[text\]'"
    ):
        text(path, tokenizer=tokenizer)
