"""Tokenizers: from texts to numbers, with the text of each number."""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runner.core.bounds import at_least, check
from runner.core.vocabulary import of_bytes
from runner.datasets.pipelines.examples import Foreign, library

KNOWN = ("characters", "bytes", "a number of tokens to train")


class Tokenizer(NamedTuple):
    """A function from a text to its tokens, and the text of each token."""

    encode: Callable[[str], np.ndarray]
    vocabulary: list[str]


def tokenizer_of(name: str | int, texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """Returns a tokenizer.

    Args:
        name: "characters", "bytes", a number of tokens, which are computed from the texts by byte-pair encoding, or a
            file: `.json` of the library tokenizers, or `.model` of SentencePiece.
        texts: returns all texts.

    Raises:
        ValueError: the name is another one, the file is missing or damaged, or the library is not installed.
    """
    if name == "characters":
        return _characters(texts())
    if name == "bytes":
        encode = lambda text: np.frombuffer(text.encode(), np.uint8)
        return Tokenizer(encode, [of_bytes(bytes([byte])) for byte in range(256)])
    if isinstance(name, int):
        check("tokenizer", name, at_least(256))
        return _trained(texts(), name)
    file = Path(name).expanduser()
    if file.suffix not in (".json", ".model"):
        raise ValueError(f"tokenizer: {name!r} is none of {', '.join(KNOWN)}, and no .json or .model file")
    if not file.is_file():
        raise ValueError(f"tokenizer: there is no file {name}")
    module = library("tokenizers" if file.suffix == ".json" else "sentencepiece", "text")
    try:
        if file.suffix == ".json":
            return _of_library(module.Tokenizer.from_file(str(file)))
        return _of_sentencepiece(module.SentencePieceProcessor(model_file=str(file)))
    except Exception as error:  # the libraries raise plain exceptions for damaged files
        raise ValueError(f"tokenizer: {name} cannot be read: {' '.join(str(error).split()):.200}") from None


def _characters(texts: Iterable[str]) -> Tokenizer:
    points = lambda text: np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.zeros(0, np.uint32)
    for text in texts:
        known = np.union1d(known, points(text))
    return Tokenizer(lambda text: np.searchsorted(known, points(text)), [chr(point) for point in known])


def _trained(texts: Iterable[str], size: int) -> Tokenizer:
    module = library("tokenizers", "text")
    tokenizer = module.Tokenizer(module.models.BPE())
    tokenizer.pre_tokenizer = module.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = module.pre_tokenizers.ByteLevel.alphabet()
    trainer = module.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return _of_library(tokenizer)


def _of_library(tokenizer: Foreign) -> Tokenizer:
    names = [tokenizer.id_to_token(number) or "" for number in range(tokenizer.get_vocab_size())]
    has_bytes = "ByteLevel" in tokenizer.to_str()
    text_of = _of_byte_level if has_bytes else lambda name: name.replace("▁", " ").removeprefix("##")
    encode = lambda text: np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.uint32)
    return Tokenizer(encode, [text_of(name) for name in names])


def _of_byte_level(name: str) -> str:
    """Returns the text of a name in which each byte that is not printable has another character in its place."""
    bytes_of = _bytes_of_names()
    return (
        of_bytes(bytes(bytes_of[character] for character in name)) if set(name) <= bytes_of.keys() else name
    )


@functools.cache
def _bytes_of_names() -> dict[str, int]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


def _of_sentencepiece(processor: Foreign) -> Tokenizer:
    names = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    bytes_of = [re.fullmatch(r"<0x([0-9A-F]{2})>", name) for name in names]
    texts = [name.replace("▁", " ") for name in names]
    if any(bytes_of):  # pieces of other characters are then bytes, too
        texts = [
            of_bytes(bytes([int(found[1], 16)]) if found else text.encode())
            for found, text in zip(bytes_of, texts, strict=True)
        ]
    return Tokenizer(lambda text: np.array(processor.encode(text), np.uint32), texts)
