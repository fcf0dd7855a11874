"""Texts of a source whose entropy is known, so that a language model's loss can be judged."""

import bisect
import math
import string

import numpy as np

from runner.core import Dataset
from runner.datasets.windows import dataset_of

LONGEST = 10_000_000  # letters, drawn one by one
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
    """Draws a source, in which a letter depends on those just before it, and a text of it.

    The letters' probabilities after each context are drawn from a symmetric Dirichlet distribution. The first 90 % of
    the text are for training, 5 % each for validation and test. The spec's entropy is that of one more letter, exactly.

    Args:
        symbols: count of letters, 2 to 52.
        order: how many letters before it a letter depends on.
        concentration: of the Dirichlet distribution; the smaller, the surer the next letter.
        size: letters of the text.
        length: of a window.
        batch_size: windows a batch.
        split_seed: draws source and text.

    Raises:
        ValueError: a setting out of its range, more than a million contexts, or a part shorter than a window.
    """
    if not 2 <= symbols <= len(LETTERS):
        raise ValueError(f"symbols: {symbols} is not in 2..{len(LETTERS)}")
    if order < 1 or symbols**order > 1_000_000:
        raise ValueError(
            f"order: {order} letters of {symbols}; need 1 or more, and at most a million contexts"
        )
    if not 0 < concentration < math.inf:
        raise ValueError(f"concentration: {concentration} is not a finite number above 0")
    if size < 1:
        raise ValueError(f"size: {size} is less than 1")
    if size > LONGEST:
        raise ValueError(f"size: {size} is more than {LONGEST}")
    if split_seed < 0:
        raise ValueError(f"split_seed: {split_seed} is less than 0")
    random = np.random.default_rng(split_seed)
    chances = random.dirichlet(np.full(symbols, concentration), symbols**order)
    tokens, context = _draw(random, chances, size)
    parts = dict(
        zip(
            ("train", "validation", "test"), np.split(tokens, [size * 18 // 20, size * 19 // 20]), strict=True
        )
    )
    known = {"vocabulary": LETTERS[:symbols], "entropy": _entropy(chances, context)}
    return dataset_of(parts, length, batch_size, **known)


def _draw(random: np.random.Generator, chances: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """Draws a text `[size]`, and gives the context it ends in; a context's letters are its digits, the last lowest."""
    contexts, symbols = chances.shape
    bounds = [row.tolist() for row in np.minimum(chances.cumsum(1), 1.0)]
    context, tokens = 0, np.empty(size, np.int32)
    for place, number in enumerate(random.random(size).tolist()):
        token = min(bisect.bisect_right(bounds[context], number), symbols - 1)
        tokens[place] = token
        context = (context * symbols + token) % contexts
    return tokens, context


def _entropy(chances: np.ndarray, context: int) -> np.float32:
    """Gives the entropy in nats of one more letter, over the contexts as often as they come up long after one."""
    contexts, symbols = chances.shape
    share = np.zeros(contexts)
    share[context] = 1  # not all alike, for a source may hold parts that the text cannot reach
    for _ in range(10_000):
        # From context (a, b) the letter c leads to (b, c): sum over a.
        after = (share[:, None] * chances).reshape(symbols, contexts // symbols, symbols).sum(0).ravel()
        change, share = np.abs(after - share).sum(), (after + share) / 2  # the mean, lest it turn in a circle
        if change < 1e-12:
            break
    surprise = -(chances * np.log(np.maximum(chances, 1e-300))).sum(1)
    return np.float32(share @ surprise)
