"""A Flax net for any scenario."""

import math
from collections.abc import Sequence

import flax.linen as nn

from runner.nets import from_linen


class Perceptron(nn.Module):
    """A perceptron of one hidden layer with BatchNorm and dropout."""

    output_shape: tuple[int, ...]
    hidden_size: int
    dropout: float

    @nn.compact
    def __call__(self, x, train: bool):
        """Maps x `[B, ...]` to `[B, *output_shape]`."""
        x = nn.Dense(self.hidden_size)(x.reshape(len(x), -1))
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(math.prod(self.output_shape))(x).reshape(len(x), *self.output_shape)


def perceptron(output_shape: Sequence[int], hidden_size: int = 128, dropout: float = 0.1):
    """Returns the net; the scenario provides `output_shape`, the shape of one output."""
    return from_linen(Perceptron(tuple(output_shape), hidden_size, dropout))
