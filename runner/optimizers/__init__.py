"""Optimizers that keep their numbers: optax transformations, built where they are used.

The numbers of an optimizer (its learning rate, its decays) are thus arguments of the compiled call, and another
learning rate does not compile again. Any other `optax.GradientTransformation` can be used in place of one of these.
"""

from runner.optimizers.by_name import from_optax
from runner.optimizers.known import adam, adamw, lion, rmsprop, sgd
from runner.optimizers.recipe import Recipe

__all__ = ["Recipe", "adam", "adamw", "from_optax", "lion", "rmsprop", "sgd"]
