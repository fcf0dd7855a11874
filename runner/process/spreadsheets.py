"""Tables as CSV, which a spreadsheet may open."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t")  # with these a spreadsheet takes a cell for a formula


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    """Returns rows as CSV, with all digits; a text that a spreadsheet would compute gets an apostrophe before it.

    A carriage return, which some readers take for the end of a row, is written as an escape.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", r"\r")
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
