"""Texts in files, in pieces of which only one need be in memory at a time."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, cast

PIECE = 2**20  # characters, up to the end of a line
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]  # of Unicode
ENDINGS = (".txt", ".md", ".jsonl")


class Piece(NamedTuple):
    """A part of a document."""

    text: str
    is_last: bool  # whether the document ends with it


def files_of(path: str) -> list[Path]:
    """Returns a file, or the texts below a folder in the order of their names, without hidden files.

    Raises:
        ValueError: there is no such file, or the folder has none.
    """
    given = Path(path).expanduser()
    if not given.is_dir():
        if given.exists() and not given.is_file():
            raise ValueError(f"path: {path} is a pipe or a device; write its content to a file first")
        return [given]
    found = (file for file in given.rglob("*") if file.suffix in ENDINGS and file.is_file())
    files = sorted(
        file for file in found if not any(part.startswith(".") for part in file.relative_to(given).parts)
    )
    if not files:
        raise ValueError(f"path: {path} has no texts ({', '.join(ENDINGS)})")
    return files


def pieces_of(files: list[Path], field: str, normalize: str | None) -> Iterator[Piece]:
    """Yields the documents of files: each file is one, and of a `.jsonl` file, `field` of each line.

    Args:
        files: the files.
        field: the name of the texts in a `.jsonl` file.
        normalize: the form of Unicode that texts get, such as "NFC", or None.

    Raises:
        ValueError: a file cannot be read, is not UTF-8, or a line is no JSON object with this field.
    """
    form = cast("Form", normalize)  # which `text` has checked
    for file in files:
        for piece in _records(file, field) if file.suffix == ".jsonl" else _blocks(file):
            yield (
                piece if normalize is None else Piece(unicodedata.normalize(form, piece.text), piece.is_last)
            )


def _blocks(file: Path) -> Iterator[Piece]:
    """Yields a file in blocks of lines; no form of Unicode joins characters across the end of a line."""
    start, block = 0, None
    for lines in _lines(file):
        if block is not None:
            yield Piece(block, False)
        content = b"".join(lines)
        block = _decoded(file, content, start)
        start += len(content)
    yield Piece(block or "", True)


def _records(file: Path, field: str) -> Iterator[Piece]:
    number, start = 0, 0
    for lines in _lines(file):
        for line in lines:
            number += 1
            text = _decoded(file, line, start)
            start += len(line)
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except ValueError as error:
                raise ValueError(f"path: {file}: line {number} is not JSON: {error}") from None
            if not (isinstance(record, dict) and isinstance(record.get(field), str)):
                known = ", ".join(record) if isinstance(record, dict) else f"a {type(record).__name__}"
                raise ValueError(f"field: line {number} of {file} has no text {field!r}; it has {known}")
            yield Piece(record[field], True)


def _lines(file: Path) -> Iterator[list[bytes]]:
    try:
        with file.open("rb") as opened:
            while lines := opened.readlines(PIECE):
                yield lines
    except OSError as error:
        raise ValueError(f"path: cannot read {file}: {error.strerror}") from None


def _decoded(file: Path, content: bytes, start: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {file} is not UTF-8 (byte {start + error.start})") from None
