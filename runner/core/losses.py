"""The losses of examples, by any function of outputs and targets."""

import jax

from runner.core.protocol import Loss
from runner.core.reductions import per_example
from runner.errors import ConfigError, blame


def losses_of(loss: Loss, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Returns the mean loss of each example: `[B, ...], [B, ...] -> [B]`.

    Raises:
        ConfigError: the loss does not take such outputs and targets, or does not return values of each example.
    """
    name = getattr(getattr(loss, "func", loss), "__name__", repr(loss))
    arguments = " and ".join(f"{each.dtype}{list(each.shape)}" for each in (outputs, targets))
    try:
        values = loss(outputs, targets)
    except Exception as error:
        blame(f"loss: {name} of {arguments}", error)
    if values.shape[:1] != outputs.shape[:1]:
        raise ConfigError(
            f"loss: {name} of {arguments} is {list(values.shape)}, not values of each example, [B, ...]"
        )
    return per_example(values)
