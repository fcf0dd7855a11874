"""Optimizers that keep their numbers: optax transformations, built where they are used.

The numbers of an optimizer (its learning rate, its decays) are thus arguments of the compiled call, and another
learning rate does not compile again. Any other `optax.GradientTransformation` can be used in place of one of these.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from runner.core import Params, PyTree
from runner.core.bounds import Bound, check, decay, optional, positive, require, weight
from runner.schedules import Constant

__all__ = ["Recipe", "adam", "adamw", "lion", "rmsprop", "sgd"]

Schedule = Callable[[jax.Array], jax.Array]
RATE = Bound(lambda value: 0 < value < math.inf, "{value} is not a finite number above 0")
OPTIONS = dict.fromkeys(("b1", "b2", "decay", "momentum"), decay) | dict.fromkeys(
    ("eps", "weight_decay"), weight
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An optax transformation that is built from its numbers at each use.

    Attributes:
        make: a constructor of optax, `make(learning_rate, **options)`.
        learning_rate: a finite number above 0.
        options: the other arguments of the constructor.
        clip: the largest global norm of the gradients, or None.
        schedule: fraction of the run in [0, 1] -> factor on the rate.
        horizon: the number of steps of the run that the schedule spans.
        updates_per_step: the number of updates by this optimizer in one step of the scenario.
    """

    make: Callable[..., optax.GradientTransformation]
    learning_rate: float
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    clip: float | None = None
    schedule: Schedule = Constant()
    horizon: float | None = None
    updates_per_step: int = 1

    def __post_init__(self):
        require(self, learning_rate=RATE, clip=optional(positive), horizon=optional(positive))
        if not callable(self.schedule):
            raise ValueError(
                f"schedule: {self.schedule!r} is not a schedule; for a constant rate use schedule=constant"
            )
        if self.horizon is None and getattr(self.schedule, "needs_horizon", True):
            raise ValueError("horizon: a schedule needs the number of steps that it spans")
        for name, value in self.options.items():
            if name in OPTIONS:
                check(name, value, optional(OPTIONS[name]))

    def init(self, params: Params) -> PyTree:
        """Returns the first state of the optimizer, as optax does."""
        return self._transformation().init(params)

    def update(self, grads: Params, state: PyTree, params: Params | None = None) -> tuple[Params, PyTree]:
        """Returns updates from gradients, and the new state, as optax does."""
        return self._transformation().update(grads, state, params)

    def rate(self, count: ArrayLike) -> jax.Array | float:
        """Returns the learning rate at update `count`, counted from 0."""
        if isinstance(self.schedule, Constant):
            return self.learning_rate
        assert self.horizon is not None  # checked by the constructor
        fraction = jnp.clip(count / (self.horizon * self.updates_per_step), 0.0, 1.0)
        return self.learning_rate * self.schedule(fraction)

    def _transformation(self) -> optax.GradientTransformation:
        rate = self.learning_rate if isinstance(self.schedule, Constant) else self.rate
        built = self.make(rate, **self.options)
        return built if self.clip is None else optax.chain(optax.clip_by_global_norm(self.clip), built)


def adam(
    learning_rate: float = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
) -> Recipe:
    """Adam (Kingma and Ba 2015)."""
    return Recipe(optax.adam, learning_rate, {"b1": b1, "b2": b2, "eps": eps}, clip, schedule, horizon)


def adamw(
    learning_rate: float = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
) -> Recipe:
    """Adam with decoupled weight decay, scaled by the current learning rate (Loshchilov and Hutter 2019)."""
    options = {"b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay}
    return Recipe(optax.adamw, learning_rate, options, clip, schedule, horizon)


def sgd(
    learning_rate: float = 0.1,
    momentum: float | None = None,
    nesterov: bool = False,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
) -> Recipe:
    """Stochastic gradient descent; the schedule scales after the momentum, as in optax."""
    return Recipe(
        optax.sgd, learning_rate, {"momentum": momentum, "nesterov": nesterov}, clip, schedule, horizon
    )


def rmsprop(
    learning_rate: float = 1e-3,
    decay: float = 0.9,
    eps: float = 1e-8,
    momentum: float | None = None,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
) -> Recipe:
    """RMSProp (Hinton 2012, lecture 6e)."""
    return Recipe(
        optax.rmsprop,
        learning_rate,
        {"decay": decay, "eps": eps, "momentum": momentum},
        clip,
        schedule,
        horizon,
    )


def lion(
    learning_rate: float = 1e-4,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 1e-3,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
) -> Recipe:
    """Lion (Chen et al. 2023), with decoupled weight decay."""
    return Recipe(
        optax.lion, learning_rate, {"b1": b1, "b2": b2, "weight_decay": weight_decay}, clip, schedule, horizon
    )
