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
    is_key = all(name.isidentifier() for name in key.split("."))
    return key not in signature.parameters and (Path(argument).exists() or not is_key)


def takes(key: str, signature: inspect.Signature) -> bool:
    """Returns whether a verb takes any key, or any key of a part if all its values are texts."""
    return any(
        parameter.kind is parameter.VAR_KEYWORD and ("." in key or parameter.annotation is not str)
        for parameter in signature.parameters.values()
    )


def plain(text: str) -> object:
    """Returns the value of a text: a number, also one like 1e-1, which YAML takes for a text, or what YAML reads."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
