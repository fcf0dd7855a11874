"""Output to the terminal: lines, tables and suggestions."""

import difflib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def say(line: str) -> None:
    """Prints a line, and ignores that nobody reads it any more, as when Ctrl-C has ended `tee` as well."""
    with suppress(BrokenPipeError):
        print(line, flush=True)


def near(word: str, known: Sequence[str]) -> str:
    """Returns "; did you mean X?" for the known word that is most similar, or "" if none is."""
    matches = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """Returns a table for rich's console; cells are plain text, without markup, and fold."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for head in heads:
        shown.add_column(Text(head), overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown
