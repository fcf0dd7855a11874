import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.nets import transformer

NET = transformer((7,), size=8, layers=2, heads=2, max_length=12, dropout=0.5)
X = np.random.default_rng(0).integers(0, 7, (3, 10)).astype(np.int32)


@pytest.fixture(scope="module")
def params():
    return NET.init(jax.random.key(0), X, is_training=True)[0]


def logits(params, x):
    return NET.apply(params, {}, None, x, is_training=False)[0]


def test_gives_logits_of_the_vocabulary_at_each_position(params):
    assert logits(params, X).shape == (3, 10, 7)


def test_a_place_knows_itself_and_what_was_before_and_nothing_later(params):
    changed = X.copy()
    changed[:, 6] = (changed[:, 6] + 1) % 7
    one, other = logits(params, X), logits(params, changed)
    np.testing.assert_allclose(one[:, :6], other[:, :6], atol=1e-6)
    assert all(not np.allclose(one[:, place], other[:, place]) for place in (6, 9))


def test_places_are_distinguished(params):
    same = jnp.zeros((1, 10), jnp.int32)
    assert not np.allclose(logits(params, same)[:, 0], logits(params, same)[:, 5])


def test_dropout_acts_in_training_only(params):
    train = lambda key: NET.apply(params, {}, key, X, is_training=True)[0]
    assert not np.allclose(train(jax.random.key(0)), train(jax.random.key(1)))


def test_a_default_has_the_known_count_of_parameters():
    initialise = lambda key: transformer((16,)).init(key, jnp.zeros((1, 32), jnp.int32), is_training=True)[0]
    shapes = jax.tree.leaves(jax.eval_shape(initialise, jax.random.key(0)))
    layer = 2 * 128 + 64 * 192 + 192 + 64 * 64 + 64 + 64 * 256 + 256 + 256 * 64 + 64
    assert sum(leaf.size for leaf in shapes) == 256 * 64 + 16 * 64 + 2 * layer + 128 + 64 * 16 + 16


@pytest.mark.parametrize(
    ("settings", "x", "message"),
    [
        ({"size": 10, "heads": 4}, X, "heads: 4 do not divide size 10"),
        ({"layers": 0}, X, "layers: 0 is less than 1"),
        ({"output_shape": (10, 7)}, X, r"output_shape: \[10, 7\] is not a vocabulary, such as \[64\]"),
        ({"output_shape": ()}, X, r"output_shape: \[\] is not a vocabulary"),
        ({"dropout": 1.0}, X, r"dropout: 1.0 is not in \[0, 1\)"),
        ({"max_length": 9}, X, "max_length: 9 positions are fewer than the 10 of x"),
        ({}, X.astype(np.float32), r"transformer needs rows of tokens, not float32\[10\]"),
    ],
)
def test_what_does_not_fit_is_refused(settings, x, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        transformer(**{"output_shape": (7,), **settings}).init(jax.random.key(0), x, is_training=True)
