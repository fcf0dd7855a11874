"""Splits an object into numeric leaves, the arguments of a compiled call, and the structure it is compiled for."""

import dataclasses
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from runner.core import PyTree


class Hole(NamedTuple):
    """Marks the position of a numeric leaf in the structure."""


class Parts(NamedTuple):
    """The parts of a dataclass, list, tuple or dict."""

    kind: type
    names: tuple
    values: tuple


def split(value: object) -> tuple[Hashable, tuple]:
    """Splits an object into its structure and its numeric leaves.

    Objects that differ only in their numeric leaves have an equal, hashable structure. Numeric leaves are the floats
    and arrays among the fields of dataclasses and the entries of lists, tuples and dicts, at any depth; a field marked
    `dataclasses.field(metadata={"static": True})` is part of the structure. Structures are compared by equality.

    Raises:
        TypeError: a part of the structure cannot be hashed.
    """
    leaves: list = []
    structure = _take(value, leaves)
    hash(structure)
    return structure, tuple(leaves)


def join(structure: Hashable, leaves: tuple) -> PyTree:
    """Returns the object with the given leaves, or with their tracers.

    No constructor runs, so that `__post_init__` does not check tracers.
    """
    return _put(structure, iter(leaves))


def _take(value: PyTree, leaves: list) -> Hashable:
    if isinstance(value, float | np.floating):
        leaves.append(float(value))  # one type of number, or equal programs are compiled twice
        return Hole()
    if isinstance(value, jax.Array | np.ndarray):
        leaves.append(value)
        return Hole()
    if dataclasses.is_dataclass(type(value)):
        fields = dataclasses.fields(value)
        values = [(getattr(value, field.name), field.metadata.get("static")) for field in fields]
        parts = tuple(inner if static else _take(inner, leaves) for inner, static in values)
        return Parts(type(value), tuple(field.name for field in fields), parts)
    kind = type(value)  # not a subclass: a named tuple (a net, a loss) is not split
    if kind in (list, tuple):
        return Parts(kind, (), tuple(_take(inner, leaves) for inner in value))
    if kind is dict:
        return Parts(kind, tuple(value), tuple(_take(value[name], leaves) for name in value))
    return value


def _put(structure: Hashable, leaves: Iterator) -> PyTree:
    if isinstance(structure, Hole):
        return next(leaves)
    if not isinstance(structure, Parts):
        return structure
    values = [_put(inner, leaves) for inner in structure.values]
    if structure.kind in (list, tuple):
        return structure.kind(values)
    if structure.kind is dict:
        return dict(zip(structure.names, values, strict=True))
    joined = object.__new__(structure.kind)
    for name, value in zip(structure.names, values, strict=True):
        object.__setattr__(joined, name, value)
    return joined
