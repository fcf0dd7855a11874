"""How a text file writes a table: its encoding, the ends of its lines, and what separates its cells."""

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from runner.datasets.checks import report

DELIMITERS = ",;\t|"
SNIFFED = 2**18  # bytes at the beginning, from which the delimiter is detected
SNIFFED_ROWS = 50
MARKS = {  # at the beginning of a file; the longer ones first, because UTF-32 begins like UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Text(NamedTuple):
    """The content of a text file with a table."""

    path: str
    content: bytes  # UTF-8, without a byte order mark; each line ends with a line feed
    delimiter: str
    header: list[str]
    before: int  # lines before the header, which say what the delimiter is

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the line and the cells of the header and of each row, without surrounding blanks.

        Lines without any character are left out.

        Raises:
            ValueError: quotation marks are not closed, or a row and the header differ in length.
        """
        parsed = _reader(self.content, self.delimiter)
        try:
            for row in parsed:
                line = parsed.line_num + self.before
                if row and len(row) != len(self.header):
                    raise ValueError(
                        f"path: line {line} of {self.path} has {len(row)} cells; the header has {len(self.header)}"
                    )
                if row:
                    yield line, [cell.strip() for cell in row]
        except csv.Error as error:
            line = parsed.line_num + self.before
            raise ValueError(f"path: line {line} of {self.path}: {error}") from None


def text_of(path: str, content: bytes, encoding: str | None = None, delimiter: str | None = None) -> Text:
    """Returns the text of a file, and what separates its cells.

    Raises:
        ValueError: the file is not text, is empty, or its header is incomplete.
    """
    content = _with_line_feeds(_as_utf8(path, content, encoding))
    start = content.lstrip(b"\n")
    before = len(content) - len(start)
    content = start.rstrip(b"\n") + b"\n" if start.endswith(b"\n\n") else start
    if said := re.match(rb"sep=(.)\n", content):  # as Excel writes and reads
        delimiter, before = delimiter or said[1].decode(), before + 1
        content = content[said.end() :]
    delimiter = delimiter or _delimiter(content)
    if len(delimiter) != 1 or delimiter in '"\n' or not delimiter.isascii():
        raise ValueError(f"delimiter: {delimiter!r} cannot separate cells; need one character, such as ;")
    return Text(path, content, delimiter, _header(path, content, delimiter), before)


def _as_utf8(path: str, content: bytes, encoding: str | None) -> bytes:
    mark, found = next(
        ((mark, name) for mark, name in MARKS.items() if content.startswith(mark)), (b"", "utf-8")
    )
    used = encoding or found
    if used in ("utf-8", "utf-8-sig") and content.isascii():
        text = content
    else:
        text = _decode(path, content, used, is_guess=encoding is None and not mark)
    if b"\0" in text:
        raise ValueError(
            f"path: {path} holds zero bytes, as no text does; if it is text, say encoding=utf-16, say"
        )
    return text


def _decode(path: str, content: bytes, encoding: str, is_guess: bool) -> bytes:
    """Returns text as UTF-8. Where the encoding is a guess, text that is not UTF-8 is taken for cp1252."""
    try:
        return content.decode(encoding).encode()
    except LookupError:
        raise ValueError(f"encoding: {encoding!r} is no encoding that Python knows, such as cp1252") from None
    except UnicodeEncodeError:
        raise ValueError(f"path: {path} holds half a character in {encoding}") from None
    except UnicodeDecodeError as error:
        if is_guess and b"\0" not in content:
            with contextlib.suppress(UnicodeDecodeError):
                text = content.decode("cp1252").encode()
                report(f"note: {path} is not UTF-8 and is read as cp1252; if that is wrong, say encoding=")
                return text
        raise ValueError(
            f"path: {path} is not {encoding.upper()} text (byte {error.start}); save it as UTF-8"
        ) from None


def _with_line_feeds(content: bytes) -> bytes:
    if b"\r" not in content:
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _reader(content: bytes, delimiter: str):
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _delimiter(content: bytes) -> str:
    """Returns what separates the cells: it occurs equally often in all of the first rows, outside of quotes."""
    sample = content[:SNIFFED]
    sample = sample[: sample.rfind(b"\n") + 1] or content[: content.find(b"\n") + 1] or content
    return max(DELIMITERS, key=lambda delimiter: _agreement(sample, delimiter))


def _agreement(sample: bytes, delimiter: str) -> tuple[bool, int]:
    """Returns whether all rows have as many cells as the header, at least two, and the cells of the header."""
    rows = _reader(sample, delimiter)
    lengths = []
    with contextlib.suppress(csv.Error):  # a quoted cell that the sample cuts, or another delimiter explains
        lengths.extend(len(row) for row in itertools.islice(rows, SNIFFED_ROWS) if row)
    header = lengths[0] if lengths else 0
    return header > 1 and len(set(lengths)) == 1, header


def _header(path: str, content: bytes, delimiter: str) -> list[str]:
    try:
        header = next((row for row in _reader(content, delimiter) if row), None)
    except csv.Error as error:
        raise ValueError(f"path: the header of {path}: {error}") from None
    if header is None:
        raise ValueError(f"path: {path} is empty")
    names = [name.strip() for name in header]
    for index, name in enumerate(names):
        if not name:
            raise ValueError(
                f"path: column {index + 1} in the header of {path} has no name; name it or remove it"
            )
    repeated = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if repeated:
        raise ValueError(f"path: the header of {path} names {repeated[0]!r} twice")
    return names
