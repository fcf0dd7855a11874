"""Texts that are numbers or dates: how a column writes them, and what they are."""

from typing import NamedTuple

import numpy as np
import polars as pl

from runner.datasets.tables.dates import read_dates

NUMBERS = "need a finite number, as in other rows"
AMBIGUOUS = "can be read in two ways; say decimal=. or decimal=, in quotes"
SIGN = r"[+\-\u2212]?"
SYMBOL = r"[%\p{Sc}]"
BLANK = r"[ \u00a0\u202f]*"


class Parsed(NamedTuple):
    """A column of texts that is one of numbers or dates."""

    values: np.ndarray  # [N], float64; NaN where a cell is missing or does not fit
    misfits: list[int]  # rows of the cells that do not fit
    need: str  # what these cells need
    dates: str | None = None  # the notation of dates


class Hints(NamedTuple):
    """What is known of a column before its cells are read."""

    is_number: bool = False  # that it holds numbers or dates
    dates: str | None = None  # the notation of its dates in another table
    decimal: str | None = None  # the decimal mark of numbers that can be read in two ways
    rules: int = 2


def parse(texts: pl.Series, hints: Hints) -> Parsed | None:
    """Returns a column as numbers or as days since 1970, or None if no cell is one.

    Args:
        texts: the cells; null where one is missing.
        hints: what is known of the column.
    """
    plain = texts.cast(pl.Float64, strict=False)
    if hints.rules == 1:
        return _parsed(texts, plain, NUMBERS) if hints.is_number or not plain.is_null().all() else None
    if hints.dates is not None:
        return _as_dates(texts, hints.dates)
    if hints.decimal != "," and plain.null_count() == texts.null_count():
        return _parsed(texts, plain, NUMBERS)
    numbers = _as_numbers(texts, hints.decimal)
    if hints.is_number:
        return numbers or _parsed(texts, plain, NUMBERS)
    if numbers is None or numbers.misfits:
        dates = _as_dates(texts, None)
        if dates is not None and (numbers is None or len(dates.misfits) < len(numbers.misfits)):
            return dates
    return numbers


def _as_dates(texts: pl.Series, known: str | None) -> Parsed | None:
    dates = read_dates(texts, known)
    if dates is None:
        return (
            None
            if known is None
            else _parsed(texts, pl.repeat(None, len(texts), dtype=pl.Float64, eager=True), "need a date")
        )
    return _parsed(texts, dates.days, dates.need, dates.notation)


def _as_numbers(texts: pl.Series, decimal: str | None) -> Parsed | None:
    """Returns the numbers of a column with thousands separators, decimal commas, currencies or percent signs."""
    point, comma = _read(texts, "."), _read(texts, ",")
    lacks = point.null_count() - comma.null_count()
    values = comma if lacks > 0 or (lacks == 0 and decimal == ",") else point
    if values.null_count() == len(values):
        return None
    if lacks == 0 and decimal is None and not point.equals(comma):
        return _parsed(texts, pl.select(pl.when(point == comma).then(point)).to_series(), AMBIGUOUS)
    symbols = texts.str.extract(f"({SYMBOL})").fill_null("")
    usual = symbols.filter(values.is_not_null()).mode().sort()[0]
    fits = values.is_not_null() & (symbols == usual)
    example = texts.filter(fits)[0]
    need = NUMBERS if _is_plain(example) else f"need a number such as {example!r} in other rows"
    return _parsed(texts, pl.select(pl.when(fits).then(values)).to_series(), need)


def _read(texts: pl.Series, decimal: str) -> pl.Series:
    """Returns the cells that are numbers with a decimal mark; null for all others. 5 % is 0.05."""
    thousands = "," if decimal == "." else "."
    whole = rf"(?:\d{{1,3}}(?:[{thousands}]\d{{3}})+|\d{{1,3}}(?:['\u2019 \u00a0\u202f]\d{{3}})+|\d+)"
    number = rf"(?:{whole}(?:[{decimal}]\d*)?|[{decimal}]\d+)(?:[eE][+-]?\d+)?"
    pattern = f"^(?:{SYMBOL}{BLANK})?{SIGN}(?:{SYMBOL}{BLANK})?({number})(?:{BLANK}{SYMBOL})?$"
    cleaned = texts.str.replace_all("\u2212", "-").str.replace_all(rf"[^0-9eE+\-{decimal}]", "")
    values = cleaned.str.replace_all(",", ".").cast(pl.Float64, strict=False)
    fits = texts.str.contains(pattern)
    values = pl.when(texts.str.contains("%")).then(values / 100).otherwise(values)
    return pl.select(pl.when(fits).then(values)).to_series()


def _is_plain(cell: str) -> bool:
    return pl.Series([cell]).cast(pl.Float64, strict=False).item() is not None


def _parsed(texts: pl.Series, values: pl.Series, need: str, dates: str | None = None) -> Parsed:
    misfits = (values.is_null() & texts.is_not_null()).arg_true().to_list()
    return Parsed(values.to_numpy(), misfits, need, dates)
