"""Completion of a command line in a shell: Hydra completes settings, and this module verbs and their arguments."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from typing import TYPE_CHECKING

from runner.commands.help import HELP, SHOWN
from runner.compose.names import CONF
from runner.storage.run_directory import Directory

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

# The shell expands what it is offered: a folder may be called $(command).
SAFE = re.compile(r"[\w./,:=+@%~-]+")
BOOLEANS = ("false", "true")


def complete(hydra: "Hydra", settings: Sequence[str]) -> None:
    """Prints what a shell asks for: its completion function, or the candidates for the line in `COMP_LINE`.

    Candidates that a shell would expand are left out, and a line that cannot be completed has none.

    Args:
        hydra: with the configurations of the command.
        settings: such as `install=bash` or `query=fish`.
    """
    command, _, shell = " ".join(settings).partition("=")
    if command != "query":
        return hydra.shell_completion("config", list(settings))
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    line = line[: int(point)] if point.isdecimal() else line
    try:
        with redirect_stderr(io.StringIO()):  # of a parser of options
            known = sorted({each for each in _candidates(hydra, shell, line) if SAFE.fullmatch(each)})
    except (Exception, SystemExit):  # an error would be printed into the line that is typed
        known = []
    print(("\n" if shell == "fish" else " ").join(known))


def _candidates(hydra: "Hydra", shell: str, line: str) -> Iterator[str]:
    """Yields the candidates for the last word of a line, which begins with the name of the program."""
    rest = line.lstrip().partition(" ")[2].lstrip()
    *before, word = rest.split() if rest and not rest[-1].isspace() else [*rest.split(), ""]
    verb = before[0] if before and before[0] in HELP else None
    if verb is not None:
        yield from _arguments(verb, before[1:], word)
    if verb is None or verb == "check":
        if not before:
            yield from (verb for verb in HELP if verb.startswith(word))
        (plugin,) = hydra.get_shell_to_plugin_map(hydra.config_loader)[shell]
        found = plugin._query("config", rest.removeprefix("check "))
        yield from found
        key, equals, start = word.partition("=")
        if equals and any(f"{key}={value}" in found for value in BOOLEANS):
            yield from (f"{key}={value}" for value in BOOLEANS if value.startswith(start))


def _arguments(verb: str, before: Sequence[str], word: str) -> Iterator[str]:
    """Yields the candidates for an argument of a verb, as its help describes them."""
    given = [each for each in before if "=" not in each and not each.startswith("-")]
    kinds = re.findall(r"RUN|FILE|FOLDER|GROUP", HELP[verb].usage)[len(given) :][:1]
    if kinds == ["GROUP"]:
        folders = (path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
        yield from (name for name in folders if name.startswith(word))
    elif kinds:
        yield from _paths(word, kinds == ["FILE"])
    for option in {**HELP[verb].options, **SHOWN}:
        key, equals, value = option.partition("=")
        values = [""] if value.isupper() else value.split("|")
        choices = BOOLEANS if value == "true" else values
        if not key.isupper() and " " not in key:
            offered = (
                [f"{key}="] if equals and "=" not in word else [f"{key}{equals}{each}" for each in choices]
            )
            yield from (each for each in offered if each.startswith(word))


def _paths(word: str, with_files: bool) -> Iterator[str]:
    """Yields the folders whose paths begin with a word, those that are no runs with a slash, and perhaps the files."""
    folder, _, start = word.rpartition("/")
    folder += "/" * ("/" in word)
    for entry in os.scandir(os.path.expanduser(folder) or "."):
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            yield folder + entry.name + "/" * (not Directory(entry.path).is_run)
        elif with_files and entry.is_file():
            yield folder + entry.name
