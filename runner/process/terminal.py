"""Output to the terminal: lines, tables and suggestions."""

import difflib
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDE = 100_000  # columns of what is not a terminal
WHOLE = 16  # columns of the longest text that is never folded


def escaped(text: str, kept: str = "") -> str:
    r"""Returns a text in which each character that is not printable is written as its escape, such as `\x1b`.

    Text from a run directory may hold sequences that control the terminal, and characters that reverse what follows.

    Args:
        text: any text.
        kept: characters that stay, such as line ends.
    """
    if text.isprintable():
        return text
    plain = lambda character: character.isprintable() or character in kept
    return "".join(each if plain(each) else each.encode("unicode_escape").decode() for each in text)


class EscapingFormatter(logging.Formatter):
    """Formats log records with escapes for characters that are not printable, except line ends."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the lines of a record."""
        return escaped(super().format(record), kept="\n")


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line, by default to standard output; does nothing if it cannot be written.

    The disk may be full, or the reader may have exited, such as a `tee` that the same Ctrl-C has ended.
    """
    with suppress(OSError, ValueError):  # a ValueError if the stream is closed
        print(escaped(line), file=file, flush=True)


def is_text(word: str) -> bool:
    """Returns whether a name or an argument is text, and not bytes that the encoding of the locale lacks."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def near(word: str, known: Sequence[str]) -> str:
    """Returns "; did you mean X?" for the most similar known word, or "" if none is similar."""
    matches = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def show(shown: "RenderableType") -> None:
    """Prints text or a table of rich to standard output, as wide as it is if that is no terminal."""
    from rich.console import Console

    # A path may contain brackets, or words between colons, which rich would take for emoji.
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(shown)


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """Returns a table for the console of rich; cells are escaped text without markup.

    In a terminal that is too narrow long texts fold, but no number, name or short text does.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    plain = lambda text: Text(escaped(text))
    heading = Text(escaped(title, kept="\n"), "table.title")
    shown = Table(title=heading, title_justify="left", box=None, pad_edge=False)
    cells = [list(map(plain, row)) for row in rows]
    for place, head in enumerate(heads):
        longest = max((cell_len(row[place].plain) for row in cells), default=0)
        shown.add_column(plain(head), overflow="fold", min_width=min(longest, WHOLE))
    for row in cells:
        shown.add_row(*row)
    return shown
