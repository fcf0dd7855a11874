"""Modules of Flax's linen, in the form of nets that scenarios take."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from runner.core import PyTree
from runner.core.caching import shared

if TYPE_CHECKING:
    from flax.linen import Module

OPPOSITES = ("use_running_average", "deterministic")  # true in evaluation mode
NAMES = ("is_training", "train", "training", *OPPOSITES)


class LinenNet(NamedTuple):
    """The two functions of a linen module as a net; equal modules that can be hashed have the identical functions."""

    init: Callable[..., PyTree]
    apply: Callable[..., PyTree]


def from_linen(module: "Module") -> LinenNet:
    """Returns a `flax.linen.Module` as a net: its mutable collections, such as those of BatchNorm, are the net's state.

    Args:
        module: a module whose `__call__` takes the inputs and, if it behaves differently in training, one of `train`,
            `training`, `is_training`, `use_running_average` or `deterministic`. The last two are true in evaluation.
            The only random stream that it can use is "dropout".
    """
    return _net_of(module)


@shared  # unless it holds a list, as `nn.Sequential` may, or an array
def _net_of(module: Any) -> LinenNet:
    parameters = inspect.signature(type(module).__call__).parameters
    modes = [name for name in NAMES if name in parameters]

    def mode(is_training: bool) -> dict[str, bool]:
        return {name: is_training != (name in OPPOSITES) for name in modes}

    def init(key, *inputs, is_training):
        params_key, dropout_key = jax.random.split(key)
        keys = {"params": params_key, "dropout": dropout_key}
        variables = dict(module.init(keys, *inputs, **mode(is_training)))
        return variables.pop("params", {}), variables

    def apply(params, net_state, key, *inputs, is_training):
        keys = {} if key is None else {"dropout": key}
        mutable = list(net_state) if is_training else []
        outputs, updated = module.apply(
            {"params": params, **net_state}, *inputs, **mode(is_training), rngs=keys, mutable=mutable
        )
        return outputs, {**net_state, **updated}

    return LinenNet(init, apply)
