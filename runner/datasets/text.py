"""A user's own texts, as a sequence of tokens."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np

from runner.core import Dataset
from runner.core.bounds import check, one_of, optional
from runner.datasets.corpus import Form, files_of, pieces_of
from runner.datasets.stored_tokens import stored, windows_of
from runner.datasets.tokenizers import Tokenizer, tokenizer_of
from runner.datasets.windows import dataset_of
from runner.process.memory import total_memory

END = "<|end|>"  # the text of the token that ends a document


def text(
    path: str,
    length: int = 64,
    batch_size: int = 64,
    validation: float = 0.1,
    test: float = 0.1,
    tokenizer: str | int = "characters",
    field: str = "text",
    normalize: str | None = None,
    boundaries: bool = False,
    cache: str | None = None,
) -> Dataset:
    """Reads texts in UTF-8; windows of their tokens are x [B, length], and y are the tokens that follow them.

    The first tokens are for training, the next for validation, the last for testing. All texts have one vocabulary.

    Args:
        path: a file, or a folder of `.txt`, `.md` and `.jsonl` files; of the last, each line is a document.
        length: tokens per window.
        batch_size: windows per batch.
        validation: fraction of the tokens for validation.
        test: fraction of the tokens for testing.
        tokenizer: "characters", "bytes", a number of byte pairs to train, or a file, as for `tokenizer_of`.
        field: the name of the texts in a `.jsonl` file.
        normalize: the form of Unicode of the texts: "NFC", "NFD", "NFKC", "NFKD", or None for the one they have.
        boundaries: whether a token follows each document.
        cache: a file for the tokens, which are then read when they are needed; None keeps them in memory.

    Raises:
        ValueError: a file cannot be used, a setting is out of its range, or a part is shorter than a window.
    """
    _check(validation, test, normalize)
    corpus = _Corpus(path, tokenizer, field, normalize, boundaries, in_memory=cache is None)
    ends = (1 - validation - test, 1 - test)
    if cache is not None:
        tokens, vocabulary = stored(cache, corpus)
        return windows_of(tokens, length, batch_size, ends, vocabulary=vocabulary)
    return dataset_of(_parts(corpus, ends), length, batch_size, vocabulary=corpus.vocabulary)


class _Corpus:
    """The texts of files, and their tokens."""

    def __init__(
        self,
        path: str,
        tokenizer: str | int,
        field: str,
        normalize: str | None,
        boundaries: bool,
        in_memory: bool,
    ):
        self._files, self._settings = files_of(path), [tokenizer, field, normalize, boundaries]
        if in_memory:
            _refuse_beyond_memory(path, self._files)
        self._pieces = functools.partial(pieces_of, self._files, field, normalize)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenizer_of(self._settings[0], lambda: (piece.text for piece in self._pieces()))

    @property
    def made_from(self) -> list:
        """Sizes and times of the files, and the settings that determine the tokens."""
        named = [Path(str(self._settings[0]))]
        files = [*self._files, *(file for file in named if file.is_file())]
        return [
            [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files],
            self._settings,
        ]

    @property
    def vocabulary(self) -> list[str]:
        """The text of each token."""
        known, boundaries = self._tokenizer.vocabulary, self._settings[-1]
        return [*known, END] if boundaries else known

    def tokens(self) -> Iterator[np.ndarray]:
        """Yields the tokens, in parts [N]."""
        boundaries = self._settings[-1]
        for piece in self._pieces():
            yield self._tokenizer.encode(piece.text)
            if boundaries and piece.is_last:
                yield np.array([len(self._tokenizer.vocabulary)])


def _parts(corpus: _Corpus, ends: tuple[float, float]) -> dict[str, np.ndarray]:
    tokens = np.concatenate([np.asarray(part, np.int32) for part in corpus.tokens()])
    cuts = [round(len(tokens) * end) for end in ends]
    return dict(zip(("train", "validation", "test"), np.split(tokens, cuts), strict=True))


def _check(validation: float, test: float, normalize: str | None) -> None:
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 < fraction < 1:
            raise ValueError(f"{name}: {fraction} is not a fraction of the text, above 0 and below 1")
    if validation + test >= 1:
        raise ValueError(f"validation: {validation} and test {test} leave nothing of the text to train on")
    check("normalize", normalize, optional(one_of(*get_args(Form))))


def _refuse_beyond_memory(path: str, files: list[Path]) -> None:
    size = sum(file.stat().st_size for file in files if file.exists())
    if size > total_memory() / 8:  # tokens take 4 bytes, and as much again while they are joined
        raise ValueError(
            f"path: {path} has {size / 1e9:.3g} GB of text; say cache=FILE, where its tokens are written"
        )
