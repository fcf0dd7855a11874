"""Dates as numbers: days since 1970-01-01."""

from typing import NamedTuple

import numpy as np
import polars as pl

TIME = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?)?[ ]?(Z|UTC|[+-]\d{2}:?\d{2})?"
YEAR_FIRST = rf"^(\d{{4}})[-/.](\d{{1,2}})(?:[-/.](\d{{1,2}}){TIME})?$"
YEAR_LAST = rf"^(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}}){TIME}$"
ORDERS = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
AMBIGUOUS = "may begin with the day or with the month; write dates as 2024-12-31, or drop the column"


NEED = "need a date, as in other rows"


class Dates(NamedTuple):
    """A column of dates."""

    days: pl.Series  # since 1970, with fractions; null where a cell is missing or no date
    notation: str  # the order of year, month and day: a key of ORDERS
    need: str  # what a cell that is no date needs


def read_dates(texts: pl.Series, known: str | None) -> Dates | None:
    """Returns a column as dates, or None if no cell is one.

    Args:
        texts: the cells; null where one is missing.
        known: the order in another table, for dates that can be read in two ways.
    """
    first, last = (texts.str.extract_groups(pattern) for pattern in (YEAR_FIRST, YEAR_LAST))
    parts = max((first, last), key=lambda groups: groups.struct.field("1").count()).struct.unnest()
    if parts["1"].count() == 0:
        return None
    notation = "ymd" if len(parts["1"].drop_nulls()[0]) == 4 else _order(texts, parts, known)
    days = _days(parts, ORDERS[notation or "dmy"])
    if notation is None or days.is_null().all():
        return Dates(days.clear(len(days)), "dmy", AMBIGUOUS if notation is None else NEED)
    return Dates(days, notation, f"{NEED}, such as {texts.filter(days.is_not_null())[0]!r}")


def _order(texts: pl.Series, parts: pl.DataFrame, known: str | None) -> str | None:
    """Returns the order of dates that end with the year, or None if it cannot be told."""
    if texts.filter(parts["1"].is_not_null()).str.contains(r"^\d+\.").all():
        return "dmy"
    first, second = (parts[name].cast(pl.Int64) for name in "12")
    if (first > 12).any():
        return "dmy"
    if (second > 12).any():
        return "mdy"
    return known if known != "ymd" else None


def _days(parts: pl.DataFrame, order: tuple[int, int, int]) -> pl.Series:
    year, month, day = (pl.col(str(place + 1)).str.zfill(2) for place in order)
    date = pl.concat_str(year, month, day.fill_null("01"), separator="-").str.to_date(
        "%Y-%m-%d", strict=False
    )
    hour, minute = (pl.col(name).cast(pl.Float64).fill_null(0) for name in "45")
    second = pl.col("6").str.replace(",", ".").cast(pl.Float64).fill_null(0)
    zone = pl.col("7").str.extract_groups(r"([+-])(\d{2}):?(\d{2})")
    sign = pl.when(zone.struct.field("1") == "-").then(-1).otherwise(1)
    offset = zone.struct.field("2").cast(pl.Float64) * 60 + zone.struct.field("3").cast(pl.Float64)
    minutes = hour * 60 + minute + second / 60 - (sign * offset).fill_null(0)
    is_time = (hour < 24) & (minute < 60) & (second < 61)
    days = pl.when(is_time).then(date.cast(pl.Int32).cast(pl.Float64) + minutes / 1440)
    return parts.select(days.alias("days")).to_series()


def as_text(days: float) -> str:
    """Returns days since 1970 as a date."""
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(days)), "D"))
