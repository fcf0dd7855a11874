"""Text from a random source of known entropy, the lowest loss that a language model can reach."""

import bisect
import string

import numpy as np

from runner.core import Dataset
from runner.core.bounds import at_least, at_most, check, count, finite
from runner.datasets.windows import dataset_of

LONGEST = 10_000_000  # letters, which are drawn one by one
LETTERS = string.ascii_lowercase + string.ascii_uppercase


def markov(
    symbols: int = 16,
    order: int = 2,
    concentration: float = 0.15,
    size: int = 200_000,
    length: int = 32,
    batch_size: int = 32,
    split_seed: int = 0,
) -> Dataset:
    """Draws a Markov source, in which a letter depends on those just before it, and a text from it.

    The letters' probabilities after each context are drawn from a symmetric Dirichlet distribution. The first 90 % of
    the text are for training, 5 % each for validation and test. The spec holds the exact entropy of one more letter.

    Args:
        symbols: number of different letters, 2 to 52.
        order: number of preceding letters that a letter depends on.
        concentration: of the Dirichlet distribution; the smaller, the more predictable the next letter.
        size: number of letters in the text.
        length: letters per window.
        batch_size: windows per batch.
        split_seed: seed of the source and of the text.

    Raises:
        ValueError: a setting is out of its range, there are more than a million contexts, or a part is shorter than a
            window.
    """
    check("symbols", symbols, at_least(2), at_most(len(LETTERS)))
    if order < 1 or symbols**order > 1_000_000:
        raise ValueError(f"order: {order} letters of {symbols}; need 1 or more, at most a million contexts")
    check("concentration", concentration, finite)
    check("size", size, count, at_most(LONGEST))
    check("split_seed", split_seed, at_least(0))
    random = np.random.default_rng(split_seed)
    chances = random.dirichlet(np.full(symbols, concentration), symbols**order)
    tokens, context = _draw(random, chances, size)
    train, validation, test = np.split(tokens, [size * 18 // 20, size * 19 // 20])
    parts = {"train": train, "validation": validation, "test": test}
    entropy = _entropy(chances, context)
    return dataset_of(parts, length, batch_size, vocabulary=LETTERS[:symbols], entropy=entropy)


def _draw(random: np.random.Generator, chances: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Returns a text `[size]` and the context that it ends in.

    A context is a number whose digits are its letters, the last letter being the lowest digit.
    """
    contexts, symbols = chances.shape
    bounds = [row.tolist() for row in np.minimum(chances.cumsum(1), 1.0)]
    context, tokens = 0, np.empty(size, np.int32)
    for position, number in enumerate(random.random(size).tolist()):
        token = min(bisect.bisect_right(bounds[context], number), symbols - 1)
        tokens[position] = token
        context = (context * symbols + token) % contexts
    return tokens, context


def _entropy(chances: np.ndarray, context: int) -> np.float32:
    """Computes the entropy in nats of one more letter, averaged over the contexts that occur long after `context`."""
    contexts, symbols = chances.shape
    frequencies = np.zeros(contexts)
    frequencies[context] = 1  # not uniform: a source may have contexts that the text cannot reach
    for _ in range(10_000):
        # From context (a, b) the letter c leads to (b, c): sum over a.
        after = (frequencies[:, None] * chances).reshape(symbols, contexts // symbols, symbols).sum(0).ravel()
        # The next frequencies are the mean of both, so that a periodic source converges too.
        change, frequencies = np.abs(after - frequencies).sum(), (after + frequencies) / 2
        if change < 1e-12:
            break
    surprise = -(chances * np.log(np.maximum(chances, 1e-300))).sum(1)
    return np.float32(frequencies @ surprise)
