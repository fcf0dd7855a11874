"""Optimizers of optax that have a configuration."""

from collections.abc import Mapping

import optax

from runner.optimizers.recipe import Recipe, Schedule
from runner.schedules import Constant


def adam(
    learning_rate: float = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
) -> Recipe:
    """Adam (Kingma and Ba 2015)."""
    return Recipe(
        optax.adam,
        learning_rate,
        {"b1": b1, "b2": b2, "eps": eps},
        clip,
        schedule,
        horizon,
        1,
        accumulate,
        groups,
    )


def adamw(
    learning_rate: float = 1e-3,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
) -> Recipe:
    """Adam with decoupled weight decay, scaled by the current learning rate (Loshchilov and Hutter 2019)."""
    options = {"b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay}
    return Recipe(optax.adamw, learning_rate, options, clip, schedule, horizon, 1, accumulate, groups)


def sgd(
    learning_rate: float = 0.1,
    momentum: float | None = None,
    nesterov: bool = False,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
) -> Recipe:
    """Stochastic gradient descent; the schedule scales after the momentum, as in optax.

    Raises:
        ValueError: `nesterov` is set without a momentum.
    """
    if nesterov and momentum is None:
        raise ValueError("nesterov: changes how the momentum is used, and there is none; set momentum too")
    return Recipe(
        optax.sgd,
        learning_rate,
        {"momentum": momentum, "nesterov": nesterov},
        clip,
        schedule,
        horizon,
        1,
        accumulate,
        groups,
    )


def rmsprop(
    learning_rate: float = 1e-3,
    decay: float = 0.9,
    eps: float = 1e-8,
    momentum: float | None = None,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
) -> Recipe:
    """RMSProp (Hinton 2012, lecture 6e)."""
    return Recipe(
        optax.rmsprop,
        learning_rate,
        {"decay": decay, "eps": eps, "momentum": momentum},
        clip,
        schedule,
        horizon,
        1,
        accumulate,
        groups,
    )


def lion(
    learning_rate: float = 1e-4,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 1e-3,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
) -> Recipe:
    """Lion (Chen et al. 2023), with decoupled weight decay."""
    return Recipe(
        optax.lion,
        learning_rate,
        {"b1": b1, "b2": b2, "weight_decay": weight_decay},
        clip,
        schedule,
        horizon,
        1,
        accumulate,
        groups,
    )
