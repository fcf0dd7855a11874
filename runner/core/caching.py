"""Results that equal calls share."""

import functools
from collections.abc import Callable, Hashable
from typing import TypeVar

Result = TypeVar("Result")


def shared(function: Callable[..., Result]) -> Callable[..., Result]:
    """Wraps a function so that equal calls return the identical result, and runs share the programs compiled for it.

    A call with arguments that cannot be hashed, such as a mapping, has a result of its own.
    """
    cached = functools.cache(function)

    @functools.wraps(function)
    def call(*arguments: Hashable) -> Result:
        try:
            hash(arguments)
        except TypeError:
            return function(*arguments)
        return cached(*arguments)

    return call
