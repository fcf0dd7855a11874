"""Texts that are numbers: how a column writes them, and what they are."""

from typing import NamedTuple

import numpy as np
import polars as pl

NUMBERS = "need a finite number, as in other rows"


class Parsed(NamedTuple):
    """A column of texts that is one of numbers."""

    values: np.ndarray  # [N], float64; NaN where a cell is missing or does not fit
    misfits: list[int]  # rows of the cells that do not fit
    need: str  # what these cells need


def parse(texts: pl.Series, is_number: bool) -> Parsed | None:
    """Returns a column as numbers, or None if no cell is one.

    Args:
        texts: the cells; null where one is missing.
        is_number: whether the column is known to hold numbers.
    """
    values = texts.cast(pl.Float64, strict=False)
    if not is_number and values.null_count() == len(values):
        return None
    misfits = (values.is_null() & texts.is_not_null()).arg_true()
    return Parsed(values.to_numpy(), misfits.to_list(), NUMBERS)
