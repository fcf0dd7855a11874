"""Nets of every kind in one calling convention."""

import functools
import inspect
from collections.abc import Callable

import haiku as hk

from runner.core.leaves import PyTree
from runner.errors import ConfigError

Net = hk.TransformedWithState  #: a net in the calling convention of `lift`
NetLike = tuple[Callable[..., PyTree], Callable[..., PyTree]]  #: any accepted net, see `lift`
MODES = {
    "is_training": True,
    "training": True,
    "train": True,
    "deterministic": False,
}  # name -> value in training


def lift(net: NetLike) -> Net:
    """Returns any accepted net in one calling convention.

    Args:
        net: `hk.Transformed`, `hk.TransformedWithState`, either without its key, or a bare pair of functions
            `init(key, *inputs) -> params`, `apply(params, [key,] *inputs) -> outputs`. They are distinguished by
            their type and the names of their parameters. The class of a Haiku module is transformed.

    Returns:
        `init(key, *inputs) -> params, net_state` and
        `apply(params, net_state, key, *inputs) -> outputs, net_state`.
        Both also take `is_training`, and pass it on under the name that the signature of the net has for it, one of
        MODES. A function of any keywords (`**kw`) gets `is_training`, if it takes it.

    Raises:
        ConfigError: the net is none of these.
    """
    net = transformed(net) if is_module(net) else net
    if not (isinstance(net, tuple) and len(net) == 2 and all(map(callable, net))):
        raise ConfigError(
            f"net: {_shown(net)} is no net: a net is what hk.transform or hk.transform_with_state returns, a pair of"
            " functions (init, apply), or the class of a Haiku module"
        )
    init, apply = net
    names = list(inspect.signature(apply).parameters)[1:]
    has_state = names[:1] in (["state"], ["net_state"])
    has_key = names[has_state : has_state + 1] in (["rng"], ["key"])

    def lifted_init(key, *inputs, is_training=True):
        variables = _in_mode(init, is_training)(key, *inputs)
        return variables if has_state else (variables, {})

    def lifted_apply(params, net_state, key, *inputs, is_training):
        state = (net_state,) if has_state else ()
        keys = (key,) if has_key else ()
        outputs = _in_mode(apply, is_training)(params, *state, *keys, *inputs)
        return outputs if has_state else (outputs, net_state)

    return Net(lifted_init, lifted_apply)


def _in_mode(function: Callable[..., PyTree], is_training: bool) -> Callable[..., PyTree]:
    """Returns a function of a net in training or in evaluation mode."""
    parameters = inspect.signature(function).parameters
    modes = {name: is_training == value for name, value in MODES.items() if name in parameters}
    if modes or all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return functools.partial(function, **modes)

    def called(*arguments):
        try:
            return function(*arguments, is_training=is_training)
        except TypeError as error:  # it passes its keywords to another function, which has no mode
            if "unexpected keyword argument 'is_training'" not in str(error):
                raise
            return function(*arguments)

    return called


def is_module(net: object) -> bool:
    """Returns whether a net is the class of a Haiku module, perhaps with settings."""
    made = getattr(net, "func", net)
    return isinstance(made, type) and issubclass(made, hk.Module)


@functools.cache
def transformed(module: Callable[..., Callable[..., PyTree]]) -> Net:
    """Returns the class of a Haiku module, perhaps with settings, as a net; the same one for the same class."""
    signature = inspect.signature(getattr(module, "func", module).__call__)

    def forward(*inputs, **mode):
        return module()(*inputs, **mode)

    own = list(signature.parameters.values())[1:]
    forward.__signature__ = signature.replace(parameters=own)  # pyright: ignore[reportFunctionMemberAccess]
    return hk.transform_with_state(forward)


def builder(net: Callable[..., PyTree]) -> Callable[..., Net]:
    """Returns a net that lacks its output shape as a function of `output_shape`; a Haiku module keeps its own.

    Raises:
        ValueError: the function does not take the shape of an output, or the module lacks a setting.
    """
    if is_module(net):
        _refuse_incomplete(net)
        return lambda output_shape: transformed(net)
    parameters = inspect.signature(net).parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    if "output_shape" not in parameters and not takes_any:
        raise ValueError(
            f"{_shown(net)} is no function of output_shape that returns a net; write one, or take the class of a Haiku"
            " module"
        )
    return net


def _refuse_incomplete(module: Callable[..., object]) -> None:
    try:
        inspect.signature(module).bind()
    except TypeError as error:
        raise ValueError(f"{_shown(module)}: {error}") from error


def _shown(net: object) -> str:
    named = getattr(net, "func", net)
    return getattr(named, "__qualname__", type(named).__name__)
