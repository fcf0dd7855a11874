"""Rows that a trained net takes, read from what a user names."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars


class Inputs(NamedTuple):
    """Rows that a trained net takes, and what is said of the rows that cannot be read."""

    x: np.ndarray  #: [N, ...], the rows that can be read
    rows: np.ndarray  #: [N], their positions among all rows of the input, ascending
    names: tuple[str, ...]  #: what identifies each row of the input, such as a file or a text, or empty
    problems: tuple[str, ...]  #: one line for each row that cannot be read
    size: int  #: the number of rows of the input
    table: "polars.DataFrame | None" = None  #: all rows as they are in the file, if it is a table
    ends: np.ndarray | None = None  #: [N], the position of the last token of each row, if rows are texts


def inputs_of(x: np.ndarray, table: "polars.DataFrame | None" = None) -> Inputs:
    """Returns the inputs of which every row can be read."""
    return Inputs(x, np.arange(len(x)), (), (), len(x), table)
