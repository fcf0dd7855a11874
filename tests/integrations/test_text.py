import jax
import numpy as np
import pytest
import sentencepiece
import tokenizers

from runner.core.vocabulary import decode, encode
from runner.datasets import text

TEXT = "".join(f"line {number} of the täxt is 日本 like the others\n" for number in range(80))


@pytest.fixture(autouse=True)
def _files():
    with open("text.txt", "w", encoding="utf-8") as file:
        file.write(TEXT)
    for name, settings in {"plain": {}, "bytes": {"byte_fallback": True, "character_coverage": 0.98}}.items():
        sentencepiece.SentencePieceTrainer.train(
            input="text.txt",
            model_prefix=name,
            vocab_size=400 if settings else 60,
            hard_vocab_limit=False,
            **settings,
        )
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    model.train(["text.txt"], tokenizers.trainers.BpeTrainer(vocab_size=90, show_progress=False))
    model.save("pairs.json")


@pytest.mark.parametrize("tokenizer", [300, "pairs.json", "plain.model", "bytes.model"])
def test_tokens_spell_the_text(tokenizer):
    data = text("text.txt", length=8, tokenizer=tokenizer)
    spelt = decode(data.spec.vocabulary, np.concatenate([source.tokens for source in data]).tolist())
    same = lambda written: " ".join(written.split())
    assert spelt == TEXT if tokenizer == 300 else same(spelt) == same(TEXT)
    assert len(data.spec.vocabulary) < len(np.unique(list(TEXT.encode()))) + 400
    assert decode(data.spec.vocabulary, encode(data.spec.vocabulary, "the täxt")) == "the täxt"


def test_a_trained_tokenizer_is_the_same_each_time_and_shortens_the_text():
    first, second = (text("text.txt", length=8, tokenizer=300) for _ in range(2))
    assert first.spec.vocabulary == second.spec.vocabulary
    assert np.array_equal(first.train.tokens, second.train.tokens)
    assert len(first.train.tokens) < 0.6 * len(TEXT.encode())


@pytest.mark.parametrize("name", ["pairs.json", "plain.model"])
def test_a_damaged_file_is_refused(name):
    with open(name, "wb") as file:
        file.write(b"{")
    with pytest.raises(ValueError, match=rf"^tokenizer: {name} cannot be read: "):
        text("text.txt", tokenizer=name)


def test_a_run_on_stored_tokens_is_killed_and_resumes(resumed):
    case = resumed(
        *["scenario=language_model", "dataset=text", "dataset.path=text.txt"],
        *["dataset.length=8", "dataset.batch_size=4", "dataset.tokenizer=300", "dataset.cache=tokens.npy"],
        net=["net.size=8", "net.layers=1"],
    )
    assert case.dataset.train.feed(jax.random.key(0), 0, 1)["x"].dtype == np.uint32
