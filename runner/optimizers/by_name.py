"""Any optimizer of optax, or of the same form."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import optax

from runner.core import optimization
from runner.core.caching import shared
from runner.optimizers.recipe import Recipe, Schedule, check_options
from runner.schedules import Constant

Make = Callable[..., optax.GradientTransformation]


def from_optax(
    make: Make,
    learning_rate: float | None = None,
    clip: float | None = None,
    schedule: Schedule = Constant(),
    horizon: float | None = None,
    accumulate: int | None = None,
    groups: Mapping[str, Mapping[str, float]] | None = None,
    **options: object,
) -> Recipe:
    """Returns any optimizer of optax, or of the same form, with the settings that all optimizers have.

    Args:
        make: the constructor, such as `optax.lamb`; `optax.scale_by_learning_rate` follows one without a learning rate.
        learning_rate: the learning rate, or None if the constructor needs none.
        clip: the largest global norm of the gradients, or None.
        schedule: fraction of the run in [0, 1] -> factor on the rate.
        horizon: the number of steps that the schedule spans.
        accumulate: the number of gradients whose mean makes one update, or None for one.
        groups: pattern of names -> arguments of the constructor for these parameters, as in `Recipe`.
        options: the other arguments of the constructor.

    Raises:
        ValueError: a setting does not work with this optimizer.
    """
    if not isinstance(learning_rate, int | float | None):
        raise ValueError(f"learning_rate: {learning_rate!r} is not a number")
    bound = _bound(make, tuple(options.items()))
    recipe = Recipe(bound, learning_rate, {}, clip, schedule, horizon, accumulate=accumulate, groups=groups)
    name = optimization.name_of(recipe)
    check_options(options)
    if not isinstance(schedule, Constant):
        _refuse_constant_rate(bound, name, learning_rate)
    alone = dataclasses.replace(recipe, clip=None, accumulate=None, groups=None, schedule=Constant())
    if optimization.needs_values(optax.with_extra_args_support(alone._transformation())):
        recipe = dataclasses.replace(recipe, needs_values=True)
        _refuse_changed_gradients(recipe, name)
    if not _takes_rate(bound):
        _refuse_ascent(dataclasses.replace(alone, needs_values=recipe.needs_values), name)
    return recipe


@shared
def _bound(make: Make, options: tuple) -> Make:
    """Returns the same constructor for equal options, so that equal runs share their compiled programs."""
    bound = functools.partial(make, **dict(options))
    if _takes_rate(make):
        return bound

    @functools.wraps(make)
    def scaled(learning_rate: optax.ScalarOrSchedule | None = None, **changed: object):
        built = bound(**changed)
        return (
            built
            if learning_rate is None
            else optax.chain(built, optax.scale_by_learning_rate(learning_rate))
        )

    return scaled


def _takes_rate(make: Callable[..., object]) -> bool:
    return "learning_rate" in inspect.signature(make).parameters


def _refuse_constant_rate(make: Callable[..., object], name: str, learning_rate: float | None) -> None:
    if learning_rate is None:
        raise ValueError(
            f"schedule: {name} has no learning rate here that it could scale; use schedule=constant"
        )
    if _takes_rate(make):
        annotation = inspect.signature(make).parameters["learning_rate"].annotation
        words = str(
            getattr(annotation, "__name__", annotation) if isinstance(annotation, type) else annotation
        )
        if annotation is not inspect.Parameter.empty and not re.search("Schedule|Callable|Any", words):
            raise ValueError(f"schedule: the learning rate of {name} is a number; use schedule=constant")


def _refuse_changed_gradients(recipe: Recipe, name: str) -> None:
    changed = {
        "clip": recipe.clip is not None,
        "schedule": not isinstance(recipe.schedule, Constant),
        "accumulate": recipe.accumulate is not None,
        "groups": bool(recipe.groups),
    }
    for setting, is_set in changed.items():
        if is_set:
            raise ValueError(
                f"{setting}: {name} needs the loss and the gradient as they are, which this would change; leave it out"
            )


def _refuse_ascent(recipe: Recipe, name: str) -> None:
    """Raises ValueError if a transformation without a learning rate of its own moves along the gradient."""
    weights, moved = {"w": jnp.array([[1.0, 2.0]])}, {"w": jnp.array([[1.0, 2.0]])}
    try:
        state = recipe.init(weights)
        for _ in range(3):  # the first updates of some are zero
            values = optimization.values_at(moved) if recipe.needs_values else {}
            moved, state = optimization.descend(recipe, moved, state, moved, **values)
    except ValueError:  # it does not take such weights, and says so for those of the net
        return
    if optax.tree.norm(moved) > optax.tree.norm(weights):
        remedy = "give it one" if recipe.learning_rate is None else "leave it out, as it already descends"
        raise ValueError(f"learning_rate: {name} would move along the gradient: {remedy}")
