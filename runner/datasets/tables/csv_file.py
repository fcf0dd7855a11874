"""Reads text files with polars, as columns of numbers and of texts."""

import csv
import io
import itertools
import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from runner.datasets.tables.dialect import Text, text_of
from runner.datasets.tables.table import Table

# A number that only a decimal comma explains.
COMMA = r"[+\-\u2212]?(\d{1,3}(\.\d{3})+,\d+|\d+,(\d{1,2}|\d{4,})|0+,\d+)"
SAMPLED = 5_000  # cells at the beginning, from which the kinds of columns are guessed before all are read


def read_csv(
    path: str,
    content: bytes,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    absent: Sequence[str] = (),
) -> Table:
    """Returns the table in the content of a text file.

    polars reads what RFC 4180 allows, and the `csv` module of Python all else: blank lines, quotation marks within a
    cell, blanks around quotation marks, and whatever has to be refused with its line.

    Args:
        path: the file.
        content: what it holds.
        encoding: as in `TableSettings`.
        delimiter: as in `TableSettings`.
        decimal: as in `TableSettings`.
        absent: texts that stand for no value, besides an empty cell.

    Raises:
        ValueError: the file is not a table.
    """
    text = text_of(path, content, encoding, delimiter)
    rows = [cells for _, cells in itertools.islice(text.rows(), 1, 1 + max(2, SAMPLED // len(text.header)))]
    if not rows:
        raise ValueError(f"path: {path} has a header and no rows")
    decimal = decimal or _decimal(text, rows)
    kinds = [_kind(cells, absent) for cells in zip(*rows, strict=True)]
    if decimal == ",":  # a number with a point may have thousands
        kinds = [pl.String] * len(kinds)
    frame = _read(text, kinds, absent)
    return Table(path, frame if frame is not None else _read_slowly(text), text, decimal)


def _decimal(text: Text, rows: Sequence[Sequence[str]]) -> str | None:
    """Returns the decimal mark of numbers that can be read in two ways: a comma if it occurs in other numbers."""
    if text.delimiter == ",":
        return "."
    cells = itertools.chain.from_iterable(rows)
    return "," if any(re.fullmatch(COMMA, cell) for cell in cells if "," in cell) else None


def _kind(cells: Sequence[str], absent: Sequence[str]) -> type[pl.DataType]:
    filled = [cell for cell in cells if cell and cell not in absent]
    return pl.Float64 if filled and all(map(_is_plain, filled)) else pl.String


def _is_plain(cell: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell, re.ASCII) is not None


def _read(text: Text, kinds: Sequence[type[pl.DataType]], absent: Sequence[str]) -> pl.DataFrame | None:
    """Returns the table as polars reads it, or None if that may not be what the file says."""
    has_blank_lines = b"\n\n" in text.content
    if has_blank_lines or "\n" in "".join(text.header) or not _quotes_whole_cells(text):
        return None
    texts = [pl.String] * len(kinds)
    for schema, nulls in ((kinds, ()), (kinds, absent), (texts, ())):  # polars is slower with null values
        try:
            frame = _parse(text.content, text, schema, nulls, header=1)
        except (
            pl.exceptions.PolarsError
        ):  # cells after the first rows are no numbers, or rows differ in length
            continue
        return frame if _is_rectangular(text, frame) else None
    return None


def _read_slowly(text: Text) -> pl.DataFrame:
    content = io.StringIO()
    writer = csv.writer(content, delimiter=text.delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(row for _, row in itertools.islice(text.rows(), 1, None))
    return _parse(content.getvalue().encode(), text, [pl.String] * len(text.header))


def _parse(
    content: bytes,
    text: Text,
    kinds: Sequence[type[pl.DataType]],
    absent: Sequence[str] = (),
    header: int = 0,
) -> pl.DataFrame:
    return pl.read_csv(
        content,
        separator=text.delimiter,
        has_header=False,
        skip_lines=header,
        null_values=list(absent) or None,
        schema=dict(zip(text.header, kinds, strict=True)),
    )


def _quotes_whole_cells(text: Text) -> bool:
    """Returns whether quotation marks occur only around whole cells, or twice within such a cell."""
    if b'"' not in text.content:
        return True
    content = np.frombuffer(b"\n" + text.content + b"\n", np.uint8)
    marks = np.flatnonzero(content == ord('"'))
    ends = np.frombuffer(f'{text.delimiter}\n"'.encode(), np.uint8)
    if len(marks) % 2:
        return False
    return bool(
        np.isin(content[marks[::2] - 1], ends).all() and np.isin(content[marks[1::2] + 1], ends).all()
    )


def _is_rectangular(text: Text, frame: pl.DataFrame) -> bool:
    """Returns whether no row is shorter than the header; polars refuses longer ones, and fills up shorter ones."""
    if not frame[:, -1].has_nulls():
        return True
    content = re.sub(rb'"[^"]*"', b"", text.content) if b'"' in text.content else text.content
    return content.count(text.delimiter.encode()) == (len(text.header) - 1) * (len(frame) + 1)
