"""A multi-layer perceptron."""

from collections.abc import Sequence

import haiku as hk

from runner.core import Net
from runner.nets.layers import activated, drop_out, flatten, output
from runner.nets.settings import (
    INITIALIZERS,
    OUTPUT_ACTIVATIONS,
    cached,
    check_dropout,
    check_sizes,
    find,
)


@cached
def mlp(
    output_shape: Sequence[int],
    hidden_sizes: Sequence[int] = (128, 128),
    activation: str = "relu",
    normalization: str | None = None,
    dropout: float | None = None,
    initializer: str | None = None,
    output_activation: str | None = None,
) -> Net:
    """Builds a multi-layer perceptron, for inputs of any shape.

    Args:
        output_shape: shape of one output.
        hidden_sizes: units of each hidden layer; an empty list builds a linear net.
        activation: activation of the hidden layers, named as in `jax.nn`.
        normalization: normalization before each activation: "batch", "layer" or None.
        dropout: fraction of units dropped after each activation, or None.
        initializer: initializer of all weights (biases start at zero), or None for Haiku's default.
        output_activation: activation of the output, named as in `jax.nn` ("sigmoid" keeps images in [0, 1]), or None.

    Raises:
        ValueError: a setting is out of its range, or a name is unknown.
    """
    check_sizes(output_shape=output_shape, hidden_sizes=hidden_sizes)
    check_dropout(dropout)
    activate, with_bias = activated(activation, normalization)
    w_init = find("initializer", initializer, INITIALIZERS)
    activate_output = find("output_activation", output_activation, OUTPUT_ACTIVATIONS)

    def forward(x, is_training):
        x = flatten(x)
        for size in hidden_sizes:
            x = activate(hk.Linear(size, with_bias, w_init)(x), is_training)
            x = drop_out(x, dropout, is_training)
        return activate_output(output(x, output_shape, w_init))

    return hk.transform_with_state(forward)
