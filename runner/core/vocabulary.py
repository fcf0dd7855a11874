"""Texts of tokens, and tokens of texts.

A vocabulary is the text of each token. Tokens of bytes stand for parts of characters: their texts have one character
for each byte, those of other bytes than ASCII being lone surrogates, as in Python's error handler `surrogateescape`.
"""

from collections.abc import Iterable, Sequence


def of_bytes(content: bytes) -> str:
    """Returns the text of a token of bytes."""
    return content.decode("ascii", "surrogateescape")


def decode(vocabulary: Sequence[str], tokens: Iterable[int]) -> str:
    """Returns the text of tokens; bytes that are no UTF-8 become the replacement character."""
    text = "".join(vocabulary[token] for token in tokens)
    return (
        text.encode("ascii", "surrogateescape").decode("utf-8", "replace") if _has_bytes(vocabulary) else text
    )


def encode(vocabulary: Sequence[str], text: str) -> tuple[int, ...]:
    """Returns tokens of a text, at each position the longest that fits.

    Raises:
        ValueError: no token fits.
    """
    remaining = of_bytes(text.encode()) if _has_bytes(vocabulary) else text
    numbers = {piece: number for number, piece in enumerate(vocabulary) if piece}
    longest, tokens, start = max(map(len, numbers), default=0), [], 0
    while start < len(remaining):
        sizes = range(min(longest, len(remaining) - start), 0, -1)
        size = next((size for size in sizes if remaining[start : start + size] in numbers), None)
        if size is None:
            raise ValueError(f"{remaining[start]!r} is not in the vocabulary of this run")
        tokens.append(numbers[remaining[start : start + size]])
        start += size
    return tuple(tokens)


def _has_bytes(vocabulary: Sequence[str]) -> bool:
    return any("\udc80" <= character <= "\udcff" for piece in vocabulary for character in piece)
