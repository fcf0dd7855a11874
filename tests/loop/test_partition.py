import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from runner.loop.partition import join, split


class Pair(NamedTuple):
    rate: float
    function: Any


PAIR = Pair(0.3, len)  # a named tuple, such as a net, stays whole


@dataclasses.dataclass(frozen=True)
class Inner:
    decay: float
    size: int = 3

    def __post_init__(self):
        if self.decay > 1:  # would fail on a tracer
            raise ValueError("decay")


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    rates: tuple = (0.1, [0.2, "text"])
    table: Any = None
    fixed: float = dataclasses.field(default=0.5, metadata={"static": True})
    pair: Any = PAIR
    off: float | None = None


def test_it_takes_out_floats_and_arrays_at_any_depth_and_puts_them_back():
    table = np.arange(3)
    value = Outer(Inner(0.9), table={"a": table, "b": 7})
    rest, numbers = split(value)
    assert numbers[:3] == (0.9, 0.1, 0.2)
    assert numbers[3] is table
    assert len(numbers) == 4
    again = join(rest, numbers)
    assert again.table["a"] is table
    assert dataclasses.replace(again, table=None) == dataclasses.replace(value, table=None)


def test_joining_runs_no_constructor_so_that_tracers_are_not_checked():
    rest, numbers = split(Inner(0.5))
    assert jax.jit(lambda numbers: join(rest, numbers).decay * 2)(numbers) == 1.0


def test_whole_numbers_texts_and_marked_fields_belong_to_the_structure():
    base = split(Outer(Inner(0.9)))[0]
    assert split(Outer(Inner(0.1)))[0] == base
    assert split(Outer(Inner(0.9, size=4)))[0] != base
    assert split(Outer(Inner(0.9), fixed=0.6))[0] != base
    assert split(Outer(Inner(0.9), off=0.0))[0] != base


def test_numpy_floats_become_python_floats():
    assert type(split(Inner(np.float32(0.5)))[1][0]) is float


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(TypeError, match="unhashable"):
        split(Outer(Inner(0.9), table={1, 2}))
