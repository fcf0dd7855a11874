"""A linear net."""

from collections.abc import Sequence

import haiku as hk

from runner.core import Net
from runner.nets.layers import output
from runner.nets.settings import INITIALIZERS, cached, check_sizes, find


@cached
def linear(output_shape: Sequence[int], initializer: str | None = None) -> Net:
    """Builds one linear layer, for inputs of any shape.

    Args:
        output_shape: shape of one output.
        initializer: initializer of the weights (the bias starts at zero), or None for Haiku's default.

    Raises:
        ValueError: a setting is out of its range, or a name is unknown.
    """
    check_sizes(output_shape=output_shape)
    w_init = find("initializer", initializer, INITIALIZERS)
    return hk.transform_with_state(lambda x, is_training: output(x, output_shape, w_init))
