"""The grammar of configurations, and the functions that walk and transform them.

A mapping with the key `_target_` is a part: a call of that target with the other keys as settings. With
`_partial_: true` the target is not called, but bound to the settings. A text such as "@net" is a reference to the
part `net` of the whole configuration.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

# A value of a configuration, as YAML has them: a mapping, a list, a text, a number, a bool or None. Its type is known
# only once it has been checked.
Node: TypeAlias = Any

TARGET, PARTIAL = "_target_", "_partial_"
REFERENCE = "@"


def is_part(node: object) -> bool:
    """Returns whether a value is a mapping that names a target."""
    return isinstance(node, Mapping) and TARGET in node


def is_reference(node: object) -> bool:
    """Returns whether a value refers to a part, as "@net" does."""
    return isinstance(node, str) and node.startswith(REFERENCE)


def referenced(reference: str) -> str:
    """Returns the key of the part to which a reference refers."""
    return reference.removeprefix(REFERENCE)


def target_of(part: Mapping) -> Node:
    """Returns the target of a part; it is a text unless the configuration is wrong."""
    return part[TARGET]


def targets_of(part: Mapping) -> tuple[str, str | None]:
    """Returns the target of a part, and that of the function `make` to which it passes its other settings, or None."""
    make: Node = part.get("make")
    return str(target_of(part)), str(target_of(make)) if is_part(make) else None


def is_partial(part: Mapping) -> bool:
    """Returns whether the target of a part is bound to the settings and not called."""
    return bool(part.get(PARTIAL))


def settings_of(node: Mapping) -> dict[str, Node]:
    """Returns the settings of a part: all keys except `_target_` and `_partial_`."""
    return {key: value for key, value in node.items() if key not in (TARGET, PARTIAL)}


def children(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yields the values of a mapping or a list as (dotted path, value); other nodes have none."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{path}.{key}" if path else str(key), value
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield f"{path}[{index}]", value


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yields a configuration and all values in it as (dotted path, node), each before its children."""
    yield path, node
    for inner_path, inner in children(node, path):
        yield from walk(inner, inner_path)


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yields the plain values of a configuration as (dotted path, value); a list is one value."""
    if isinstance(node, Mapping) and node:
        for inner_path, inner in children(node, path):
            yield from leaves(inner, inner_path)
    else:
        yield path, node


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """Returns a copy of a configuration in which `change` replaced each node, children before their parents."""
    if isinstance(node, Mapping):
        node = {key: transform(value, change) for key, value in node.items()}
    elif isinstance(node, list | tuple):
        node = [transform(value, change) for value in node]
    return change(node)


def follow(node: Node, config: Mapping) -> Node:
    """Returns a copy of a node in which each reference is replaced by a copy of its part of the configuration."""
    return transform(
        node, lambda inner: follow(config[referenced(inner)], config) if is_reference(inner) else inner
    )
