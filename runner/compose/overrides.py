"""Reads the settings of a command line, in Hydra's grammar, and says how to write those that cannot be read."""

import shlex
import sys
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from runner.compose.choices import Loader
from runner.errors import ConfigError
from runner.process.terminal import is_text

OPENING = set("[{(\"'")


def parse(overrides: Sequence[str], loader: Loader | None = None) -> list[Override]:
    """Reads settings; `loader` lists the choices of a group for `glob(*)`.

    Raises:
        ConfigError: one of them is not in Hydra's grammar; the message shows a corrected one, if it is known.
    """
    for text in overrides:
        if not is_text(text):
            raise ConfigError(
                f"{text}: is not text in {sys.getfilesystemencoding()}, the encoding of this locale;"
                " set PYTHONUTF8=1 if it is UTF-8, and take another name if it is not"
            )
    parser = OverridesParser.create(loader)
    parsed: list[Override] = []
    for number, text in enumerate(overrides):
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            corrected = next(_corrections(overrides[:number], text, overrides[number + 1 :]), None)
            remedy = f"say {corrected}" if corrected else "they are key=value, quoted if a value is not plain"
            raise ConfigError(
                f"cannot read the settings: {text}: {str(error).splitlines()[0]}; {remedy}"
            ) from error
    return parsed


def refuse_twice(overrides: Sequence[Override]) -> None:
    """Raises ConfigError if a key has two values."""
    seen: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        text = str(override.input_line).partition("=")[2]
        if seen.setdefault(key, text) != text:
            raise ConfigError(f"{key} is given twice ({seen[key]}, {text})")


def quoted(text: str) -> str | None:
    """Returns a setting as a word of a shell, with its value in Hydra's quotes; None if quotes do not help."""
    key, _, value = text.partition("=")
    setting = '{}="{}"'.format(key, value.replace('"', '\\"'))
    read = _read(setting)
    return shlex.quote(setting) if read is not None and read.value() == value else None


def _corrections(before: Sequence[str], text: str, after: Sequence[str]) -> Iterator[str]:
    """Yields what may have been meant: a shell splits a setting at its spaces, and removes its quotes."""
    if "=" not in text:
        words = [" ".join([*before[-1:], text])]
    elif OPENING & set(text):
        words = [" ".join([text, *after[:count]]) for count in range(1, len(after) + 1)]
    else:
        words = []
    for setting in words:
        if "=" in setting and _read(setting) is not None:
            yield shlex.quote(setting)
    value = text.partition("=")[2]
    if value.isprintable() and value[:1] not in OPENING and (setting := quoted(text)):
        yield setting


def _read(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None
