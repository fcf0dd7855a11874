"""What the nets' settings may be, and what their names stand for."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

import haiku as hk
import jax

from runner.core import Net
from runner.process.terminal import near

Settings = ParamSpec("Settings")
Meaning = TypeVar("Meaning")
Activation = Callable[[Any], jax.Array]
DEEPEST = 1000  # layers, each of which is compiled by itself
WIDEST = 64  # places of a kernel's side, each of which may be a product of its own


def _orthogonal(shape: Sequence[int], dtype: Any) -> jax.Array:
    return jax.nn.initializers.orthogonal()(
        hk.next_rng_key(), shape, dtype
    )  # Haiku's own promotes ranks, which may be forbidden


ACTIVATIONS: dict[str | None, Activation] = {
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "mish": jax.nn.mish,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jax.nn.tanh,
}
OUTPUT_ACTIVATIONS: dict[str | None, Activation] = {None: jax.nn.identity, **ACTIVATIONS}
INITIALIZERS: dict[str | None, Callable | None] = {
    None: None,  # Haiku's own: normal, deviation 1 / sqrt(inputs), then cut at two deviations
    "glorot": hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform"),
    "he": hk.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal"),
    "normal": hk.initializers.RandomNormal(),
    "orthogonal": _orthogonal,
    "truncated_normal": hk.initializers.TruncatedNormal(),
}


def find(setting: str, name: str | None, known: Mapping[str | None, Meaning]) -> Meaning:
    """Gives what a setting's name stands for.

    Raises:
        ValueError: the name is not known; the message has the nearest, and all that are.
    """
    if name in known:
        return known[name]
    names = [known_name or "null" for known_name in known]
    raise ValueError(f"{setting}: {name!r} is unknown{near(str(name), names)}; known are {', '.join(names)}")


def check_size(setting: str, size: int, most: float = math.inf) -> None:
    """Refuses what is no count of at least one and at most `most`.

    Raises:
        ValueError: the size is no whole number, less than 1, or more.
    """
    if not isinstance(size, Integral):
        raise ValueError(f"{setting}: {size!r} is no whole number")
    if size < 1:
        raise ValueError(f"{setting}: {size} is less than 1")
    if size > most:
        raise ValueError(f"{setting}: {size} is more than {most}")


def check_even(setting: str, size: int) -> None:
    """Refuses what is no even count of at least two.

    Raises:
        ValueError: the size is no whole number, less than 1 or odd.
    """
    check_size(setting, size)
    if size % 2:
        raise ValueError(f"{setting}: {size} is not even")


def check_sizes(setting: str, sizes: Sequence[int], at_least: int = 0) -> None:
    """Refuses what is no row of sizes.

    Raises:
        ValueError: there is no row, it has fewer than `at_least` sizes, or one of them is no size.
    """
    if not isinstance(sizes, Sequence):
        raise ValueError(f"{setting}: {sizes!r} is no list, such as [{sizes!r}]")
    if len(sizes) < at_least:
        raise ValueError(f"{setting}: {list(sizes)} has fewer than {at_least} entries")
    for size in sizes:
        check_size(setting, size)


def check_dropout(rate: float | None) -> None:
    """Refuses what is no share of units.

    Raises:
        ValueError: the rate is not in [0, 1).
    """
    if rate is not None and not 0 <= rate < 1:
        raise ValueError(f"dropout: {rate} is not in [0, 1); null is for none")


def cached(make: Callable[Settings, Net]) -> Callable[Settings, Net]:
    """Gives equal settings the identical net, so that runs share what is compiled for it.

    Lists count as tuples, and a default that is written out as one that is not.
    """
    signature, made = inspect.signature(make), functools.cache(make)

    @functools.wraps(make)
    def net(*args: Settings.args, **settings: Settings.kwargs) -> Net:
        bound = signature.bind(*args, **settings)
        bound.apply_defaults()
        return made(
            *(tuple(value) if isinstance(value, list) else value for value in bound.arguments.values())
        )

    return net
