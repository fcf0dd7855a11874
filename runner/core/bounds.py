"""Bounds of settings, declared by name: `require(self, latent_size=count, ema=optional(decay))`."""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple, TypeVar

Value = TypeVar("Value")


class Bound(NamedTuple):
    """A condition on a value, and the error message for a value that does not satisfy it."""

    holds: Callable[[Any], bool]
    message: str  # a format string with `{value}` and `{owner}`, the name of the class that has the setting


def require(owner: object, **bounds: Bound) -> None:
    """Checks fields of an object, in the order of the arguments.

    Raises:
        ValueError: a field does not satisfy its bound; the message begins with the name of the field.
    """
    for name, bound in bounds.items():
        check(name, getattr(owner, name), bound, owner=type(owner).__name__)


def check(name: str, value: object, *bounds: Bound, owner: str = "") -> None:
    """Checks one value.

    Raises:
        ValueError: the value does not satisfy a bound; the message begins with the given name.
    """
    for bound in bounds:
        if not bound.holds(value):
            raise ValueError(f"{name}: {bound.message.format(value=value, owner=owner)}")


def override(owner: object, name: str, value: Value | None, bound: Bound) -> Value:
    """Returns an argument that overrides the field of the same name, or the field if the argument is None.

    Raises:
        ValueError: the argument does not satisfy the bound; the message begins with its name.
    """
    if value is None:
        return getattr(owner, name)
    check(name, value, bound, owner=type(owner).__name__)
    return value


def optional(bound: Bound) -> Bound:
    """Returns a bound that also allows None, which turns a setting off."""
    return bound._replace(holds=lambda value: value is None or bound.holds(value))


def at_least(least: float) -> Bound:
    """Returns the bound of values from `least` up."""
    return Bound(lambda value: value >= least, f"{{value}} is less than {least}")


def at_most(most: float) -> Bound:
    """Returns the bound of values up to and including `most`."""
    return Bound(lambda value: value <= most, f"{{value}} is more than {most}")


def one_of(*choices: Any) -> Bound:
    """Returns the bound of values that are one of the choices."""
    return Bound(lambda value: value in choices, f"{{value!r}} is none of {', '.join(map(str, choices))}")


whole = Bound(lambda value: isinstance(value, Integral), "{value!r} is not a whole number")
count = at_least(1)
positive = Bound(lambda value: value > 0, "{value} is not above 0")
finite = Bound(lambda value: 0 < value < math.inf, "{value} is not a finite number above 0")
weight = Bound(lambda value: 0 <= value < math.inf, "{value} is not a finite number from 0 up")
share = Bound(lambda value: 0 <= value <= 1, "{value} is not from 0 to 1")
decay = Bound(lambda value: 0 <= value < 1, "{value} is not a decay, from 0 to less than 1")
weights_of_classes = Bound(
    lambda value: (
        value in (None, "balanced") or (not isinstance(value, str) and all(map(weight.holds, value)))
    ),
    "{value!r} is neither null, balanced nor a list of finite numbers from 0 up",
)
loss_of_targets = Bound(
    callable,
    "{owner} needs a function of outputs and targets, such as squared_error, or cross_entropy for classes",
)
adversarial_loss = Bound(
    lambda value: hasattr(value, "discriminator"),
    "{owner} needs the losses of two players, such as non_saturating",
)
likelihood = Bound(
    lambda value: hasattr(value, "negative_log"),
    "{owner} needs a likelihood, such as bernoulli",
)
runge_kutta = Bound(
    lambda value: hasattr(value, "weights"),
    "{owner} needs a Runge-Kutta method, such as rk4",
)
