"""Settings that are paths: found by their names, located from any folder, and replaced when a run is opened."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.compose.tree import Node, leaves
from runner.errors import ConfigError

PATHS = {
    "path",
    "run",
    "init_from",
    "tokenizer",
    "cache",
}  # names of settings whose values are paths, with those that end with _path


def is_path(key: str) -> bool:
    """Returns whether the value of a setting is a path, by the last name of its key."""
    name = key.rpartition(".")[2]
    return name in PATHS or name.endswith("_path")


def located(config: Mapping, folder: str | None) -> dict:
    """Returns a configuration whose relative paths are those of another folder, where they lead only there to a file.

    Args:
        config: the configuration of a saved run.
        folder: the working directory in which the run began, or None if it is unknown.
    """

    def path_of(key: str, value: Node) -> Node:
        there = os.path.join(folder or "", value) if is_path(key) and isinstance(value, str) else ""
        return there if folder and os.path.exists(there) and not os.path.exists(value) else value

    return _mapped(config, "", path_of)


def replaced(config: Mapping, paths: Mapping[str, str]) -> dict:
    """Returns a configuration with other paths, by their keys.

    Raises:
        ConfigError: a key is not that of a path that the configuration has.
    """
    known = [key for key, value in leaves(config) if "." in key and is_path(key) and isinstance(value, str)]
    for key in paths:
        if key not in known:
            names = ", ".join(known) or "none"
            raise ConfigError(f"{key}: is no path that an opened run can replace; those of this run: {names}")
    return _mapped(config, "", lambda key, value: _absolute(paths[key]) if key in paths else value)


def _absolute(value: Node) -> Node:
    path = os.path.expanduser(value) if isinstance(value, str) else ""
    return str(Path(path).absolute()) if path and os.path.exists(path) else value


def _mapped(node: Node, path: str, change: Callable[[str, Node], Node]) -> Node:
    if isinstance(node, Mapping):
        return {
            key: _mapped(value, f"{path}.{key}" if path else str(key), change) for key, value in node.items()
        }
    return change(path, node)
