"""Builds the objects that a checked configuration names, and fits them to each other."""

import dataclasses
import functools
import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax

from runner.compose.tree import (
    Node,
    follow,
    is_part,
    is_partial,
    is_reference,
    referenced,
    settings_of,
    target_of,
)
from runner.compose.trust import trusting
from runner.core import Dataset, Evaluator, PyTree, Scenario, Spec, optimization
from runner.core.abilities import CountingUpdates, ShapingNets, Standardizing, supports
from runner.core.caching import shared
from runner.core.lifting import builder
from runner.errors import InvalidData, is_deliberate
from runner.loop import Loop
from runner.process.memory import total_memory

Made = TypeVar("Made")


class Parts(NamedTuple):
    """The objects of one run."""

    scenario: Scenario[PyTree]
    dataset: Dataset
    loop: Loop
    evaluator: Evaluator[PyTree]


def build(config: Mapping, known: dict | None = None) -> Parts:
    """Builds the objects of a run.

    Args:
        config: resolved and checked; slots may refer to parts, as "@part".
        known: datasets that are already built, by their configurations; this one is added. Streams have a
            position and are never shared.

    Raises:
        ValueError: a part rejects a setting or the data; the message begins with the key.
    """
    dataset = _shared(config, {} if known is None else known)
    unfitted = make(config, "scenario")
    scenario = fit(config, unfitted, dataset.spec)
    if supports(unfitted, Standardizing) and not unfitted.standardize:
        from runner.datasets.checks import warn_of_unscaled

        has_setting = "standardize" in config["scenario"]
        remedy = "say scenario.standardize=true" if has_setting else "scale them in the data"
        warn_of_unscaled(dataset.spec, remedy)
    if config.get("augment"):
        from runner.datasets import Augmented

        functions = make(config, "augment")
        train = _call("augment", lambda: Augmented(dataset.train, functions))
        dataset = dataset._replace(train=train)
    if config["one_batch"]:
        from runner.datasets import FirstBatch

        dataset = dataset._replace(train=FirstBatch(dataset.train))
    return Parts(scenario, dataset, make(config, "loop"), make(config, "evaluation"))


def _shared(config: Mapping, known: dict) -> Dataset:
    key = repr(follow(config["dataset"], config))
    dataset = known[key] if key in known else make(config, "dataset")
    if not hasattr(dataset.train, "resumable"):
        known[key] = dataset
    return dataset


def refuse_beyond_memory(state: PyTree) -> None:
    """Raises an error if a state does not fit in the memory of the first device.

    Args:
        state: arrays, or their shapes and dtypes.

    Raises:
        ValueError: the state takes more than all memory of the device.
    """
    size = bytes_of(state)
    memory = (jax.devices()[0].memory_stats() or {}).get("bytes_limit") or total_memory()
    if size > memory:
        raise ValueError(
            f"net: parameters and all else of the state take {size / 1e9:.3g} GB, and there are {memory / 1e9:.3g}:"
            " take smaller nets"
        )


def bytes_of(tree: PyTree) -> int:
    """Returns the number of bytes of a tree of arrays, or of their shapes and dtypes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def make(config: Mapping, part: str) -> Node:
    """Builds one part of a trusted configuration, with all parts in it."""
    with trusting(config):
        return _make(config[part], config, part)


def fit(config: Mapping, scenario: Scenario[PyTree], spec: Spec) -> Scenario[PyTree]:
    """Returns a scenario whose nets have their output shapes and whose optimizers have their updates per step."""
    finished = {}
    shapes = {}
    if supports(scenario, ShapingNets):
        shapes = _call("dataset", functools.partial(scenario.output_shapes, spec))
    for name, shape in shapes.items():
        net, slot = getattr(scenario, name), config["scenario"][name]
        if callable(net):  # a finished net is a pair of functions, which cannot be called
            path = referenced(slot) if is_reference(slot) else f"scenario.{name}"
            built = _call(path, functools.partial(builder, net))
            finished[name] = _call(path, functools.partial(built, output_shape=shape))
    _refuse_values(config, scenario)
    counts = scenario.updates_per_step() if supports(scenario, CountingUpdates) else {}
    for name, count in counts.items():
        optimizer = getattr(scenario, name)
        if hasattr(optimizer, "updates_per_step"):
            finished[name] = dataclasses.replace(optimizer, updates_per_step=count)
    if finished and dataclasses.is_dataclass(scenario) and not isinstance(scenario, type):
        scenario = dataclasses.replace(scenario, **finished)
    return _wrapped(config, scenario)


def _refuse_values(config: Mapping, scenario: Scenario[PyTree]) -> None:
    """Raises ValueError if an optimizer needs the value of the loss, and is one of several, each with its own loss."""
    parts: dict[str, Any] = {name: getattr(scenario, name, None) for name in settings_of(config["scenario"])}
    is_optimizer = lambda part: hasattr(part, "init") and hasattr(part, "update")
    optimizers = {name: part for name, part in parts.items() if is_optimizer(part)}
    for name, optimizer in optimizers.items() if len(optimizers) > 1 else ():
        if optimization.needs_values(optimizer):
            raise ValueError(
                f"scenario.{name}: {optimization.name_of(optimizer)} needs the value of the only loss, and"
                f" {type(scenario).__name__} has several: take one that needs gradients only, such as adam"
            )


def _wrapped(config: Mapping, scenario: Scenario[PyTree]) -> Scenario[PyTree]:
    """Wraps a scenario as the settings `freeze`, `ema`, `watch` and `ensemble` require, from the inside out."""
    from runner.scenarios import Averaged, Ensemble, Frozen, Watched

    if config["freeze"]:
        scenario = Frozen(scenario, tuple(config["freeze"]))
    if config["ema"] is not None:
        scenario = Averaged(scenario, float(config["ema"]))
    if config["watch"]:
        scenario = Watched(scenario, tuple(config["watch"]))
    return scenario if config["ensemble"] is None else Ensemble(scenario, config["ensemble"])


def _make(node: Node, config: Mapping, path: str) -> Node:
    """Builds a node of a configuration; the path is for messages, which name the part that a reference refers to."""
    if is_reference(node):
        return _make(follow(node, config), config, referenced(node))
    if isinstance(node, list):
        return tuple(_make(follow(value, config), config, path) for value in node)
    if not isinstance(node, Mapping):
        return node
    settings = {key: _make(value, config, f"{path}.{key}") for key, value in settings_of(node).items()}
    if not is_part(node):
        return settings
    target = _locate(target_of(node), path)
    if is_partial(node):
        return _partial(target, tuple(settings.items())) if settings else target
    return _call(path, functools.partial(target, **settings))


@shared
def _partial(target: Callable[..., object], settings: tuple) -> functools.partial:
    """Returns the same partial object for equal settings, so that equal runs share their compiled programs."""
    return functools.partial(target, **dict(settings))


def _locate(target: str, path: str) -> Any:
    module, *names = target.split(".")
    value = importlib.import_module(module)
    for name in names:
        module = f"{module}.{name}"
        if not hasattr(value, name):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise ValueError(f"{path}._target_: {target!r} names nothing: {error}") from error
        value = getattr(value, name)
    return value


def _call(path: str, call: Callable[[], Made]) -> Made:
    """Calls the constructor of a part, and prefixes the message of a deliberate error with the key.

    Raises:
        ValueError: the part rejects a setting or the data.
        Exception: the code of the part failed.
    """
    try:
        return call()
    except UnicodeEncodeError:  # a name that the locale lacks, which `describe` explains, or a fault in code
        raise
    except (ValueError, TypeError, OSError) as error:
        was_called = error.__traceback__ is not None and error.__traceback__.tb_next is not None
        if not is_deliberate(error) and was_called:
            raise
        names_setting = str(error).split(":", 1)[0] in getattr(call, "keywords", {})
        kind = InvalidData if isinstance(error, InvalidData) else ValueError
        raise kind(f"{path}.{error}" if names_setting else f"{path}: {error}") from error
