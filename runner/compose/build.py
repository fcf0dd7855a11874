"""Builds the objects that a checked configuration names, and fits them to each other."""

import dataclasses
import functools
import importlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.compose.tree import (
    follow,
    is_part,
    is_partial,
    is_reference,
    referenced,
    settings_of,
    target_of,
)
from runner.compose.trust import trusting
from runner.errors import is_deliberate
from runner.process.memory import total_memory


class Parts(NamedTuple):
    """The objects of one run."""

    scenario: Any
    dataset: Any
    loop: Any
    evaluator: Any


def build(config: Mapping, known: dict | None = None) -> Parts:
    """Builds a run's objects.

    Args:
        config: resolved and checked; slots may say "@part".
        known: datasets that are built, by their configurations; this one joins them. Streams, which have a place,
            are never shared.

    Raises:
        ValueError: a setting or the data is refused by its part; the message begins with the key.
    """
    dataset = _shared(config, {} if known is None else known)
    made = make(config, "scenario")
    scenario = fit(config, made, dataset.spec)
    if not getattr(made, "standardize", True):
        from runner.datasets.checks import warn_of_unscaled

        can = "standardize" in config["scenario"]
        warn_of_unscaled(dataset.spec, "say scenario.standardize=true" if can else "scale them in the data")
    if config["one_batch"]:
        from runner.datasets import FirstBatch

        dataset = dataset._replace(train=FirstBatch(dataset.train))
    return Parts(scenario, dataset, make(config, "loop"), make(config, "evaluation"))


def _shared(config: Mapping, known: dict) -> Any:
    key = repr(follow(config["dataset"], config))
    dataset = known[key] if key in known else make(config, "dataset")
    if not hasattr(dataset.train, "resumable"):
        known[key] = dataset
    return dataset


def refuse_beyond_memory(state: Any) -> None:
    """Refuses a state that the first device could not even hold.

    Args:
        state: shapes and dtypes are enough.

    Raises:
        ValueError: it takes more than all memory of the device.
    """
    import jax

    size = bytes_of(state)
    memory = (jax.devices()[0].memory_stats() or {}).get("bytes_limit") or total_memory()
    if size > memory:
        raise ValueError(
            f"net: parameters and all else of the state take {size / 1e9:.3g} GB, and there are {memory / 1e9:.3g}:"
            " take smaller nets"
        )


def bytes_of(tree: Any) -> int:
    """Counts the bytes of arrays, of which shapes and dtypes are enough."""
    import jax

    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def make(config: Mapping, part: str) -> Any:
    """Builds one part of a configuration that is trusted, with all that it holds."""
    with trusting(config):
        return _make(config[part], config, part)


def fit(config: Mapping, scenario: Any, spec: Any) -> Any:
    """Finishes a scenario's nets with the shapes it asks of them, and its optimizers with how often they update."""
    finished = {}
    shapes = (
        _told("dataset", lambda: scenario.output_shapes(spec)) if hasattr(scenario, "output_shapes") else {}
    )
    for name, shape in shapes.items():
        net, slot = getattr(scenario, name), config["scenario"][name]
        if callable(net):  # a finished net is a pair of functions, and no function
            path = referenced(slot) if is_reference(slot) else f"scenario.{name}"
            finished[name] = _told(path, functools.partial(net, output_shape=shape))
    counts = scenario.updates_per_step() if hasattr(scenario, "updates_per_step") else {}
    for name, count in counts.items():
        optimizer = getattr(scenario, name)
        if hasattr(optimizer, "updates_per_step"):
            finished[name] = dataclasses.replace(optimizer, updates_per_step=count)
    return _wrapped(config, dataclasses.replace(scenario, **finished))


def _wrapped(config: Mapping, scenario: Any) -> Any:
    """Holds parts of a scenario still, records others, and makes an ensemble of it, as far as is asked for."""
    from runner.scenarios import Ensemble, Frozen, Watched

    for key, wrapper in (("freeze", Frozen), ("watch", Watched)):
        if config[key]:
            scenario = wrapper(scenario, tuple(config[key]))
    return scenario if config["ensemble"] is None else Ensemble(scenario, config["ensemble"])


def _make(node: Any, config: Mapping, path: str) -> Any:
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
    return _told(path, functools.partial(target, **settings))


@functools.cache
def _partial(target: Any, settings: tuple) -> functools.partial:
    """Gives one and the same partial for equal settings, so that equal runs share their compiled programs."""
    return functools.partial(target, **dict(settings))


def _locate(target: str, path: str) -> Any:
    module, *names = target.split(".")
    found = importlib.import_module(module)
    for name in names:
        module = f"{module}.{name}"
        if not hasattr(found, name):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise ValueError(f"{path}._target_: {target!r} names nothing: {error}") from error
        found = getattr(found, name)
    return found


def _told(path: str, call: Any) -> Any:
    """Calls a part's constructor; a deliberate error gets the key in front.

    Raises:
        ValueError: the part refuses a setting or the data.
        Exception: the part's own code has failed.
    """
    try:
        return call()
    except (ValueError, TypeError, OSError) as error:
        was_called = error.__traceback__ is not None and error.__traceback__.tb_next is not None
        if not is_deliberate(error) and was_called:
            raise
        setting = str(error).split(":", 1)[0] in getattr(call, "keywords", {})
        raise ValueError(f"{path}.{error}" if setting else f"{path}: {error}") from error
