"""Choices that are dotted names, such as `optimizer=optax.lamb`: the configurations that they stand for."""

import ast

from runner.compose.signatures import Missing, Parameter, signature
from runner.compose.tree import PARTIAL, TARGET, Node
from runner.errors import ConfigError
from runner.process.terminal import near

FUNCTIONS = ("net", "loss", "augment")  # groups whose parts are functions that are called later
TAKING_TWO = (
    "loss",
    "augment",
)  # groups whose functions are called with two arguments: outputs and targets, key and x
GIVEN = ("output_shape",)  # by a scenario, not by a user
FROM_OPTAX = "runner.optimizers.from_optax"  # the part of every optimizer that is named
OTHERS = ("experiment", "debug")  # groups that hold no parts
EVERY_OPTIMIZER = {
    "clip": None,
    "schedule": "@schedule",
    "horizon": "${steps}",
    "accumulate": None,
    "groups": None,
}
SLOTS = {  # annotation of a parameter of a scenario -> the group of its part
    "NetLike": "net",
    "Net": "net",
    "Optimizer": "optimizer",
    "Loss": "loss",
    "AdversarialLoss": "loss",
    "Likelihood": "loss",
}


def is_dotted(choice: object) -> bool:
    """Returns whether a choice is a dotted name of Python."""
    return isinstance(choice, str) and "." in choice and all(map(str.isidentifier, choice.split(".")))


def takes_names(group: str) -> bool:
    """Returns whether a choice of a group may be a dotted name."""
    return group not in OTHERS and "/" not in group


def configuration(group: str, name: str) -> dict:
    """Returns what the YAML file of a choice would contain: the target, all its settings and its defaults list.

    Settings without a default are missing ("???"); those whose default is no literal are left out.

    Raises:
        Missing: there is nothing of this name.
    """
    settings = _settings(group, name)
    if group == "optimizer":
        make = {TARGET: name, PARTIAL: True}
        own = {"make": make, "learning_rate": None, **settings, **EVERY_OPTIMIZER}
        defaults = ["_self_", {"/schedule@schedule": None}]
        return {"defaults": defaults, TARGET: FROM_OPTAX, **own}
    if group == "scenario":
        slots = {key: value[1:] for key, value in settings.items() if str(value).startswith("@")}
        defaults = [{f"/{part}@{key}": None} for key, part in slots.items() if part != "loss"]
        return {"defaults": ["_self_", *defaults], TARGET: name, **settings}
    return {TARGET: name, **({PARTIAL: True} if group in FUNCTIONS else {}), **settings}


def _settings(group: str, name: str) -> dict[str, Node]:
    read = signature(name)
    if read is None:
        return {}
    parameters = dict(list(read.parameters.items())[2:] if group in TAKING_TWO else read.parameters)
    is_called_later = group == "net" and not read.is_class and not set(GIVEN) & set(parameters)
    settings = {}
    for key, parameter in parameters.items():
        if key in GIVEN or (is_called_later and parameter.default is None):
            continue
        try:
            settings[key] = _default(group, parameter)
        except ValueError:  # not a literal
            continue
    return settings


def _default(group: str, parameter: Parameter) -> Node:
    if parameter.default is not None:
        value = ast.literal_eval(parameter.default)
        return list(value) if isinstance(value, tuple) else value
    annotation = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
    part = SLOTS.get(annotation.rpartition(".")[2]) if group == "scenario" else None
    return f"@{part}" if part else "???"


def with_functions(value: Node, path: str) -> Node:
    """Returns a value, or a list of them, in which parts stand for the dotted names of functions."""
    if isinstance(value, list):
        for each in value:
            if isinstance(each, str) and not is_dotted(each):
                raise ConfigError(
                    f"{path}: {each!r} is not the dotted name of a function, such as jax.nn.relu"
                )
        return [with_functions(each, path) for each in value]
    return _function(value, path) if is_dotted(value) else value


def _function(name: str, path: str) -> dict:
    """Returns the part that is a function of this name, or an instance of the class of this name."""
    try:
        read = signature(name)
    except Missing as error:
        raise ConfigError(
            f"{path}: there is no {name}{near(name.rpartition('.')[2], error.known)}"
        ) from error
    return {TARGET: name} if read is not None and read.is_class else {TARGET: name, PARTIAL: True}
