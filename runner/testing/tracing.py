"""What is recorded when a function of a scenario is traced, without a compile."""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Net, PyTree, Scenario, lift, named_leaves


class Trace(NamedTuple):
    """What is recorded when a function is traced."""

    function: PyTree  #: jitted: to call it again with such arguments does not trace it again
    program: str
    constants: list
    jaxpr: PyTree
    shapes: PyTree  #: of what is returned
    modes: set[bool]  #: in which nets were called: True is training
    harmed: bool  #: whether an argument was changed in place
    numbers: list[str]  #: the names of returned leaves that are no arrays, but numbers of Python


_modes: list[bool] = []  # whether each call of a net was in training mode, as it was traced


def trace(function: Callable, *arguments: PyTree) -> Trace:
    """Traces a function, which compiles nothing."""
    harmed, numbers = [], []

    @jax.jit
    def watched(*arguments):
        before = jax.tree.flatten(arguments)
        outputs = function(*arguments)
        harmed.append(not _same(before, jax.tree.flatten(arguments)))
        leaves = named_leaves(outputs).items()
        numbers.extend(name for name, leaf in leaves if not isinstance(leaf, jax.Array | np.ndarray))
        return outputs

    _modes.clear()
    traced = watched.trace(*arguments)
    program = re.sub("0x[0-9a-f]+", "", str(traced.jaxpr))  # without addresses
    jaxpr = traced.jaxpr
    return Trace(
        watched, program, jaxpr.consts, jaxpr.jaxpr, traced.out_info, set(_modes), any(harmed), numbers
    )


def _same(one: tuple, two: tuple) -> bool:
    return one[1] == two[1] and all(a is b for a, b in zip(one[0], two[0], strict=True))


@functools.cache
def counted(net: PyTree) -> Net:
    """Returns the same net with one more number in its own state: how often it was called in training mode."""
    inner = lift(net)

    def init(key, *inputs, is_training):
        params, net_state = inner.init(key, *inputs, is_training=is_training)
        return params, {"own": net_state, "calls": jnp.zeros((), jnp.int32)}

    def apply(params, net_state, key, *inputs, is_training):
        _modes.append(is_training)
        outputs, own = inner.apply(params, net_state["own"], key, *inputs, is_training=is_training)
        return outputs, {"own": own, "calls": net_state["calls"] + 1}

    return Net(init, apply)


def with_counted_nets(part: PyTree) -> PyTree:
    """Replaces every net of a scenario, and of a scenario within it."""
    if _is_net(part):
        return counted(part)
    if not isinstance(part, Scenario) or not dataclasses.is_dataclass(part):
        return part
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
    return dataclasses.replace(part, **{name: with_counted_nets(value) for name, value in fields.items()})


def _is_net(part: PyTree) -> bool:
    """Returns whether a setting is a net: a pair of functions `init` and `apply`, by these names or bare."""
    is_pair = isinstance(part, tuple) and len(part) == 2 and all(map(callable, part))
    return is_pair and (getattr(part, "_fields", ("init", "apply")) == ("init", "apply"))
