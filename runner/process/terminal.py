"""Output to the terminal: lines, tables and suggestions."""

import difflib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def say(line: str) -> None:
    """Prints a line; does nothing if the reader has exited, such as a `tee` that the same Ctrl-C has ended."""
    with suppress(BrokenPipeError):
        print(line, flush=True)


def is_text(word: str) -> bool:
    """Returns whether a name or an argument is text, and not bytes that the encoding of the locale lacks."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def near(word: str, known: Sequence[str]) -> str:
    """Returns "; did you mean X?" for the most similar known word, or "" if none is similar."""
    matches = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """Returns a table for the console of rich; cells are plain text, without markup, and long ones fold."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(title, "table.title"), title_justify="left", box=None, pad_edge=False)
    for head in heads:
        shown.add_column(Text(head), overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown
