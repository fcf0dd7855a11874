import numpy as np
import pytest

from runner.datasets import markov


def conditional_entropy(counts):
    """Of the next letter, in nats, from how often each follows each context [contexts, letters]."""
    chance = np.divide(counts, counts.sum(1, keepdims=True), out=np.ones_like(counts), where=counts > 0)
    return -(counts * np.log(chance)).sum() / counts.sum()


@pytest.mark.parametrize("order", [1, 2])
def test_the_entropy_is_that_of_the_text_given_as_many_letters(order):
    data = markov(symbols=4, order=order, concentration=0.5, size=100_000)
    tokens = np.asarray(data.train.tokens)
    contexts = sum(
        tokens[place : len(tokens) - order + place] * 4 ** (order - 1 - place) for place in range(order)
    )
    counts = np.zeros((4**order, 4))
    np.add.at(counts, (contexts, tokens[order:]), 1)
    np.testing.assert_allclose(data.spec.entropy, conditional_entropy(counts), atol=0.01)


@pytest.mark.parametrize("seed", [81, 120, 144])
def test_the_entropy_is_of_the_part_of_a_source_that_the_text_is_in(seed):
    data = markov(symbols=6, order=1, concentration=0.02, size=20_000, split_seed=seed)
    tokens = np.asarray(data.train.tokens)
    pairs = np.zeros((6, 6))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)
    np.testing.assert_allclose(data.spec.entropy, conditional_entropy(pairs), atol=0.02)


def test_one_seed_draws_one_source_and_text():
    one, same, other = (markov(size=4000, split_seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.train.tokens, same.train.tokens)
    assert one.spec.entropy == same.spec.entropy != other.spec.entropy
    assert "".join(one.spec.vocabulary) == "abcdefghijklmnop"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbols": 1}, r"symbols: 1 is less than 2"),
        ({"symbols": 53}, "symbols: 53"),
        ({"order": 0}, "order: 0"),
        ({"symbols": 52, "order": 4}, "order: 4 letters of 52"),
        ({"concentration": 0.0}, "concentration: 0.0"),
        ({"split_seed": -1}, "split_seed: -1"),
        ({"size": 0}, "size: 0 is less than 1"),
        ({"size": 100}, "length: the validation part has 5 tokens"),
    ],
)
def test_a_source_that_cannot_be_drawn_is_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        markov(**settings)
