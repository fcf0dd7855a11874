"""Reads a table from a file, whose content says what it is."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import polars as pl

from runner.datasets.files import TooLarge, read, refuse_beyond_memory
from runner.datasets.tables.csv_file import read_csv
from runner.datasets.tables.table import ABSENT, Table

COMPRESSED = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
COLUMNS: dict[bytes, tuple[str, Callable[..., pl.DataFrame]]] = {
    b"PAR1": ("Parquet", pl.read_parquet),
    b"ARROW1": ("Arrow", pl.read_ipc),
    b"\xff\xff\xff\xff": ("Arrow", pl.read_ipc_stream),
}
OTHERS = {
    b"PK\3\4": "a zip archive, perhaps of Excel",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}
CHUNK = 2**24
TEXTS = (pl.Categorical, pl.Enum, pl.Boolean, pl.Date, pl.Datetime)


def read_table(path: str, *, kind: str | None = None, rules: int = 2, **dialect: str | None) -> Table:
    """Returns the table in a file, which may be compressed.

    Args:
        path: the file.
        kind: "text" or "columns" if the file must hold a table as text, or in the format of Parquet or Arrow.
        rules: as in `TableSettings`.
        **dialect: the encoding, delimiter and decimal of text files, as in `TableSettings`.

    Raises:
        ValueError: the file is of another kind, damaged, or no table.
    """
    content = _decompressed(path, read(path))
    for mark, what in OTHERS.items():
        if content.startswith(mark):
            raise ValueError(f"path: {path} is {what}; save it as CSV or Parquet")
    if not content:
        raise ValueError(f"path: {path} is empty")
    for mark, (format_, reader) in COLUMNS.items():
        if content.startswith(mark):
            if kind == "text":
                raise ValueError(f"path: {path} is a file of {format_}; use dataset=parquet")
            return _read_columns(path, content, format_, reader)
    if kind == "columns":
        raise ValueError(f"path: {path} is no file of Parquet or Arrow; for text, use dataset=csv")
    return read_csv(path, content, absent=[text for text in ABSENT[rules] if text], **dialect)


def _decompressed(path: str, content: bytes) -> bytes:
    for mark, opener in COMPRESSED.items():
        if content.startswith(mark):
            parts, size = [], 0
            try:
                with opener(io.BytesIO(content)) as file:
                    while part := file.read(CHUNK):
                        parts.append(part)
                        size += len(part)
                        refuse_beyond_memory(path, size)
            except TooLarge:
                raise
            except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
                raise ValueError(f"path: {path} is damaged: {error}") from None
            return b"".join(parts)
    return content


def _read_columns(path: str, content: bytes, format_: str, reader: Callable[..., pl.DataFrame]) -> Table:
    try:
        frame = reader(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise ValueError(
            f"path: {path} is damaged or no file of {format_}: {str(error).splitlines()[0]}"
        ) from None
    return table_of(path, frame)


def table_of(path: str, frame: pl.DataFrame) -> Table:
    """Returns the table of columns that have types.

    Raises:
        ValueError: it has no rows.
    """
    if not len(frame):
        raise ValueError(f"path: {path} has no rows")
    conversions = [_conversion(name, dtype) for name, dtype in frame.schema.items()]
    return Table(path, frame.select(conversions), None, original=frame)


def _conversion(name: str, dtype: pl.DataType) -> pl.Expr:
    """Returns a column as numbers or texts; one of another kind stays as it is, and may be dropped."""
    if dtype.is_numeric() or dtype == pl.Null:
        return pl.col(name).cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S%.f")
    return pl.col(name).cast(pl.String) if isinstance(dtype, TEXTS) else pl.col(name)
