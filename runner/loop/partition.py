"""Splits an object into its numbers, arguments of a compiled call, and the rest, which it is compiled for."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np


class Hole(NamedTuple):
    """Stands in the rest where a number was."""


class Parts(NamedTuple):
    """A dataclass, or a list, tuple or dict, taken apart."""

    kind: Any  # the type
    names: tuple
    values: tuple


def split(value: Any) -> tuple[Any, tuple]:
    """Takes the numbers out of an object: two that differ in numbers only have an equal, hashable rest.

    Numbers are the floats and arrays among the fields of dataclasses and the entries of lists, tuples and dicts, at
    any depth; a field marked `dataclasses.field(metadata={"static": True})` stays whole. The rest is compared by
    equality.

    Raises:
        TypeError: something of the rest cannot be hashed.
    """
    numbers: list = []
    rest = _take(value, numbers)
    hash(rest)
    return rest, tuple(numbers)


def join(rest: Any, numbers: tuple) -> Any:
    """Puts the object together again, of numbers or of their tracers (no constructor runs, so none judges a tracer)."""
    return _put(rest, iter(numbers))


def _take(value: Any, numbers: list) -> Any:
    if isinstance(value, float | np.floating):
        numbers.append(float(value))  # one number type, or equal programs are compiled twice
        return Hole()
    if isinstance(value, jax.Array | np.ndarray):
        numbers.append(value)
        return Hole()
    if dataclasses.is_dataclass(type(value)):
        fields = dataclasses.fields(value)
        values = [(getattr(value, field.name), field.metadata.get("static")) for field in fields]
        taken = tuple(inner if static else _take(inner, numbers) for inner, static in values)
        return Parts(type(value), tuple(field.name for field in fields), taken)
    kind: Any = type(value)  # and no subclass: a named tuple (a net, a loss) stays whole
    if kind in (list, tuple):
        return Parts(kind, (), tuple(_take(inner, numbers) for inner in value))
    if kind is dict:
        return Parts(kind, tuple(value), tuple(_take(value[name], numbers) for name in value))
    return value


def _put(rest: Any, numbers) -> Any:
    if isinstance(rest, Hole):
        return next(numbers)
    if not isinstance(rest, Parts):
        return rest
    values = [_put(inner, numbers) for inner in rest.values]
    if rest.kind in (list, tuple):
        return rest.kind(values)
    if rest.kind is dict:
        return dict(zip(rest.names, values, strict=True))
    made = object.__new__(rest.kind)
    for name, value in zip(rest.names, values, strict=True):
        object.__setattr__(made, name, value)
    return made
