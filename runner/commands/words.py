"""Reads the words and values on the command line of a verb."""

import inspect
from contextlib import suppress
from pathlib import Path

import yaml


def is_word(argument: str, signature: inspect.Signature) -> bool:
    """Returns whether an argument is a word, such as a path, and not key=value; a path may contain "=", too."""
    key, equals, _ = argument.partition("=")
    if not equals:
        return True
    return key not in signature.parameters and (Path(argument).exists() or not key.isidentifier())


def plain(text: str) -> object:
    """Returns the value of a text: a number, also one like 1e-1, which YAML takes for a text, or what YAML reads."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
