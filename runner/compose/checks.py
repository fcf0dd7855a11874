"""Checks a composed configuration against the signatures of its parts, without Hydra or JAX."""

import ast
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from runner.compose.named import GIVEN, with_functions
from runner.compose.renamed import with_current_names
from runner.compose.signatures import (
    Missing,
    Signature,
    is_number,
    needed,
    of_all,
    signature,
    takes_function,
    takes_mapping,
)
from runner.compose.tree import (
    Node,
    is_part,
    is_partial,
    is_reference,
    referenced,
    settings_of,
    target_of,
    targets_of,
    transform,
    walk,
)
from runner.core.bounds import Bound, at_least, at_most, count, decay
from runner.errors import ConfigError
from runner.process.terminal import near

LARGEST_SEED = 2**32 - 1
OFF = type(None)
SEED = (at_least(0), at_most(LARGEST_SEED))
STEPS = (count, at_most(2**31 - 1))
GROUP = (count, at_most(1000))  # members; each has its own metrics or run directory
NAMES = ((str, list, OFF), "a name, a list of names or null")
TOP = {  # of each setting of a run itself: its types, their names in messages, and its bounds
    "seed": ((int,), "a whole number", *SEED),
    "seeds": ((int, OFF), "a whole number or null", *GROUP),
    "steps": ((int,), "a whole number", *STEPS),
    "one_batch": ((bool,), "true or false"),
    "ensemble": ((int, OFF), "a whole number or null", *GROUP),
    "ema": ((float, int, OFF), "a number or null", decay),
    "init_from": ((str, OFF), "a run's directory or null"),
    "init_step": ((int, OFF), "a whole number or null"),
    "init_names": NAMES,
    "freeze": NAMES,
    "watch": NAMES,
    "figures": ((bool,), "true or false"),
    "allow": NAMES,
    "traceback": ((bool,), "true or false"),
    "name": ((str, OFF), "a text or null"),
    "tags": NAMES,
    "notes": ((str, OFF), "a text or null"),
}
LABELS = ("name", "tags", "notes")  # what somebody calls a run, which changes nothing in it
PARTS = ("loop", "dataset", "scenario", "evaluation")
LISTS = ("augment",)  # groups of which a run has any number of parts
DEFAULTS = {"one_batch": False, "figures": True, "traceback": False}  # of configurations saved without them


def check(config: dict, known: set[str]) -> dict:
    """Checks a resolved configuration against the signatures of the parts it names.

    Args:
        config: plain containers.
        known: the allowed top-level keys.

    Returns:
        The configuration, with whole numbers converted to floats where a part takes a float, and with parts under
        their current names.

    Raises:
        ConfigError: a part does not take a key, a value does not fit, or a slot has no part.
    """
    config = with_current_names(config)
    for key in config:
        if key not in known:
            raise ConfigError(f"unknown setting {key}{near(key, sorted(known))}")
    config = check_run(config)
    last = config["seed"] + (config["seeds"] or 1) - 1
    if last > LARGEST_SEED:
        raise ConfigError(f"seeds: the last one would be {last}, which is more than {LARGEST_SEED}")
    for key in ("init_step", "init_names"):
        if config[key] is not None and config["init_from"] is None:
            raise ConfigError(f"{key}: says what to take of a run; name the run by init_from=RUN")
    return {
        key: _checked_list(value, key, config) if key in LISTS else _checked(value, key, config)
        for key, value in config.items()
        if value or key not in LISTS  # no choice is the same as no such key
    }


def check_run(config: dict) -> dict:
    """Checks the settings of a run itself, and that it has its parts; returns the configuration with lists of names.

    Raises:
        ConfigError: a setting or a part is missing, or a value does not fit.
    """
    for key in (*TOP, *PARTS):
        if key not in config:
            raise ConfigError(f"{key} is missing: every run has one")
    for key in PARTS:
        _refuse_no_part(config[key], key)
    config = config | {key: [config[key]] for key in TOP if TOP[key] is NAMES and type(config[key]) is str}
    for key in TOP:
        _check_setting(key, config[key], *TOP[key])
    return config


def _check_setting(key: str, value: Node, types: tuple[type, ...], words: str, *bounds: Bound) -> None:
    if type(value) not in types:
        raise ConfigError(f"{key}: {value!r:.100} is not {words}")
    for bound in bounds if value is not None else ():
        if not bound.holds(value):
            raise ConfigError(f"{key}: {bound.message.format(value=value)}")
    for name in value if isinstance(value, list) else ():
        if not (isinstance(name, str) and name):
            raise ConfigError(f"{key}: {name!r} is not a name")


def _checked(value: Node, path: str, config: Mapping) -> Node:
    if is_reference(value):
        if not isinstance(config.get(referenced(value)), Mapping):
            raise ConfigError(f"{path}: there is no part {referenced(value)!r} to follow")
        return value
    if not isinstance(value, Mapping):
        return value
    _refuse_no_part(value, path)
    try:
        read = of_all(*targets_of(value))
    except Missing as error:
        raise ConfigError(f"{path}._target_: there is no {error.args[0]!r}") from error
    settings = settings_of(value)
    if read is not None:
        settings = _fitted(settings, read, value, path)
    known = read.parameters if read else {}
    mappings = [key for key, each in known.items() if takes_mapping(each, is_part(settings.get(key)))]
    return {**value} | {
        key: _plain(inner, f"{path}.{key}") if key in mappings else _checked(inner, f"{path}.{key}", config)
        for key, inner in settings.items()
    }


def _checked_list(parts: Node, path: str, config: Mapping) -> Node:
    """Checks the parts of a group of which several can be chosen: name -> part."""
    if not isinstance(parts, Mapping):
        raise ConfigError(f"{path}: {parts!r:.100} is no choice: say {path}=[CHOICE,...]")
    for name, part in parts.items():
        _refuse_no_part(part, f"{path}.{name}")
    return {name: _checked(part, f"{path}.{name}", config) for name, part in parts.items()}


def _plain(value: Node, path: str) -> Node:
    """Returns a mapping that is no part, and refuses keys that parts have."""
    special = [
        inner_path for inner_path, _ in walk(value, path) if inner_path.rpartition(".")[2].startswith("_")
    ]
    if special:
        raise ConfigError(f"{special[0]}: a key cannot begin with _; begin a pattern with another character")
    return value


def _refuse_no_part(value: Node, path: str) -> None:
    if not is_part(value):
        raise ConfigError(
            f"{path} names no part (it has no _target_): choose one first, as in PART@{path}=CHOICE"
        )


def _fitted(settings: Mapping, read: Signature, node: Mapping, path: str) -> dict:
    """Checks settings against a signature, and returns them with whole numbers converted to floats."""
    part = (targets_of(node)[1] or str(target_of(node))).rpartition(".")[2]
    fitted = {}
    for key, value in settings.items():
        parameter = read.parameters.get(key)
        if parameter is None:
            if read.is_open:
                continue
            raise ConfigError(
                f"{path}.{key}: {part} has no such setting{near(str(key), list(read.parameters))}"
            )
        if value is None and parameter.default is None:
            raise ConfigError(f"{path}.{key} is missing: {part} needs it")
        if takes_function(parameter):
            value = with_functions(value, f"{path}.{key}")
        need = needed(parameter, value)
        if need is not None:
            raise ConfigError(f"{path}.{key}: {value!r} is not {need}")
        fitted[key] = float(value) if type(value) is int and is_number(parameter) else value
    for key, parameter in read.parameters.items():
        is_given_later = is_partial(node) and (not read.is_class or key in GIVEN)
        if key not in settings and parameter.default is None and not is_given_later:
            raise ConfigError(f"{path}.{key} is missing: {part} needs it")
    return dict(settings) | fitted


def refuse_unused(config: Mapping, keys: Mapping[str, str]) -> None:
    """Raises ConfigError if a setting of the command line belongs to a part that nothing uses.

    Args:
        config: resolved.
        keys: the path of each setting -> how it was written.
    """
    used: set[str] = set()
    pending = list(PARTS)
    while pending:
        part = pending.pop()
        if part not in used:
            used.add(part)
            nodes = [node for _, node in walk(config.get(part))]
            pending += [referenced(node) for node in nodes if is_reference(node)]
    for path, text in keys.items():
        part = path.split(".")[0]
        if is_part(config.get(part)) and part not in used:
            raise ConfigError(
                f"{text}: has no effect, because no other part here follows {part}; leave it out"
            )


def without_leftovers(config: dict, paths: Iterable[str], given: Collection[str]) -> dict:
    """Returns a configuration without the settings of an earlier part that a new `_target_` does not take.

    Args:
        config: resolved.
        paths: of the parts whose `_target_` was changed alone.
        given: the keys of the command line, which are kept.
    """

    def kept(node: Node, path: str) -> Node:
        if not isinstance(node, Mapping):
            return node
        inner = {key: kept(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()}
        if path not in paths:
            return inner
        with suppress(Missing):
            read = of_all(*targets_of(node)) or Signature({}, True, "")
            for key, value in settings_of(node).items():
                parameter = read.parameters.get(key)
                fits = read.is_open if parameter is None else needed(parameter, value) is None
                if not fits and f"{path}.{key}" not in given:
                    del inner[key]
        return inner

    return kept(config, "")


def complete(config: Mapping) -> dict:
    """Returns a saved configuration with the settings of a run that were introduced after it was saved.

    Each gets the value that keeps the earlier behaviour: null, or that of DEFAULTS. The settings of parts need no
    completion, because they have defaults in Python; see `with_defaults`.
    """
    added = {key: DEFAULTS.get(key) for key, (types, *_) in TOP.items() if OFF in types or key in DEFAULTS}
    whole = {**{key: value for key, value in added.items() if key not in config}, **config}
    loop = whole.get("loop")
    return whole | {"loop": {"mode": "min", **loop}} if isinstance(loop, Mapping) else whole


def with_defaults(config: Mapping) -> dict:
    """Returns a configuration in which each part has the Python defaults of the settings that it does not name.

    Two configurations that build equal parts are then equal. Defaults that are not literals are omitted.
    """
    return transform(complete(config), _with_own_defaults)


def _with_own_defaults(node: Node) -> Node:
    if not is_part(node):
        return node
    completed = dict(node)
    with suppress(Missing):
        read = signature(str(target_of(node)))
        for key, parameter in read.parameters.items() if read else ():
            if key not in node and parameter.default is not None:
                with suppress(ValueError):  # not a literal
                    completed[key] = transform(ast.literal_eval(parameter.default), _with_own_defaults)
    return completed
