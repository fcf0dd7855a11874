"""Settings of nets: checks of their values, and the functions that their names stand for."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import haiku as hk
import jax
from jax.typing import DTypeLike

from runner.core import Net
from runner.core.bounds import Bound, at_most, check, count, optional, whole
from runner.core.caching import shared
from runner.process.terminal import near

Settings = ParamSpec("Settings")
Choice = TypeVar("Choice")
Activation = Callable[[jax.Array], jax.Array]
DEEPEST = 1000  # layers, each of which is compiled separately
WIDEST = 64  # height and width of a kernel, each position of which may be a separate product

even = Bound(lambda value: value % 2 == 0, "{value} is not even")
a_list = Bound(lambda value: isinstance(value, Sequence), "{value!r} is not a list, such as [{value!r}]")
dropout_rate = Bound(lambda value: 0 <= value < 1, "{value} is not in [0, 1); null is for none")


def _orthogonal(shape: Sequence[int], dtype: DTypeLike) -> jax.Array:
    return jax.nn.initializers.orthogonal()(
        hk.next_rng_key(), shape, dtype
    )  # Haiku's own initializer promotes ranks, which JAX can be set to forbid


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
    None: None,  # Haiku's default: normal with deviation 1 / sqrt(inputs), truncated at two deviations
    "glorot": hk.initializers.VarianceScaling(1.0, "fan_avg", "uniform"),
    "he": hk.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal"),
    "normal": hk.initializers.RandomNormal(),
    "orthogonal": _orthogonal,
    "truncated_normal": hk.initializers.TruncatedNormal(),
}


def find(setting: str, name: str | None, known: Mapping[str | None, Choice]) -> Choice:
    """Returns what the name in a setting stands for.

    Raises:
        ValueError: the name is unknown; the message lists the most similar name and all known ones.
    """
    if name in known:
        return known[name]
    names = [known_name or "null" for known_name in known]
    raise ValueError(f"{setting}: {name!r} is unknown{near(str(name), names)}; known are {', '.join(names)}")


def check_size(most: float = math.inf, **settings: int) -> None:
    """Checks that sizes are whole numbers from 1 to `most`.

    Raises:
        ValueError: one is not a whole number, or out of this range.
    """
    for setting, size in settings.items():
        check(setting, size, whole, count, at_most(most))


def check_even(setting: str, size: int) -> None:
    """Checks that a size is an even number of at least 2.

    Raises:
        ValueError: the size is not a whole number, less than 1, or odd.
    """
    check(setting, size, whole, count, even)


def check_sizes(at_least: int = 0, **settings: Sequence[int]) -> None:
    """Checks that lists of sizes have at least `at_least` entries, and that each is a whole number from 1 on.

    Raises:
        ValueError: one is not a list or has fewer entries, or one of them is not such a number.
    """
    for setting, sizes in settings.items():
        check(setting, sizes, a_list)
        if len(sizes) < at_least:
            raise ValueError(f"{setting}: {list(sizes)} has fewer than {at_least} entries")
        for size in sizes:
            check(setting, size, whole, count)


def check_image_shape(net: str, output_shape: Sequence[int], alternative: str) -> None:
    """Checks that the shape of one output is that of an image.

    Raises:
        ValueError: it does not have three sizes; the message recommends the alternative.
    """
    check_sizes(output_shape=output_shape)
    if len(output_shape) != 3:
        raise ValueError(
            f"{net} makes images [height, width, channels], not {list(output_shape)}: take {alternative} for these"
        )


def check_dropout(rate: float | None) -> None:
    """Checks that a dropout rate is None or a fraction of the units.

    Raises:
        ValueError: the rate is not in [0, 1).
    """
    check("dropout", rate, optional(dropout_rate))


def cached(build: Callable[Settings, Net]) -> Callable[Settings, Net]:
    """Wraps a function so that equal settings return the identical net, and runs share the programs compiled for it.

    A list equals a tuple, and a default that is written out equals one that is left out.
    """
    signature, cached_build = inspect.signature(build), shared(build)

    @functools.wraps(build)
    def net(*args: Settings.args, **settings: Settings.kwargs) -> Net:
        bound = signature.bind(*args, **settings)
        bound.apply_defaults()
        return cached_build(
            *(tuple(value) if isinstance(value, list) else value for value in bound.arguments.values())
        )

    return net
