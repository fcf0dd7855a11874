"""An optimizer as its numbers, from which an optax transformation is built at each use."""

import dataclasses
import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from runner.core import Params, PyTree, listed, named_leaves, optimization
from runner.core.bounds import Bound, check, count, decay, optional, positive, require, weight, whole
from runner.errors import ConfigError
from runner.process.terminal import near
from runner.schedules import Constant

Schedule = Callable[[jax.Array], jax.Array]
Groups = Mapping[str, Mapping[str, float]] | tuple  # a tuple of pairs, which can be hashed
RATE = Bound(lambda value: 0 < value < math.inf, "{value} is not a finite number above 0")
OPTIONS = dict.fromkeys(("b1", "b2", "decay", "momentum"), decay) | dict.fromkeys(
    ("eps", "weight_decay"), weight
)
REST = "others"  # the label of the parameters in no group


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An optax transformation that is built from its numbers at each use.

    Attributes:
        make: a constructor of optax, `make(learning_rate, **options)`.
        learning_rate: a finite number above 0, or None for a constructor that needs none.
        options: the other arguments of the constructor.
        clip: the largest global norm of the gradients, or None.
        schedule: fraction of the run in [0, 1] -> factor on the rate.
        horizon: the number of steps of the run that the schedule spans.
        updates_per_step: the number of calls of this optimizer in one step of the scenario.
        accumulate: the number of calls whose mean gradient makes one update (`optax.MultiSteps`), or None for one;
            schedules count updates.
        groups: pattern -> arguments of the constructor for the parameters whose names it matches, by `re.search`. A
            parameter is in the first group that matches. A name is that of a leaf within the net, such as `linear.w`.
        needs_values: whether the transformation needs the value of the loss besides its gradient.
    """

    make: Callable[..., optax.GradientTransformation]
    learning_rate: float | None
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    clip: float | None = None
    schedule: Schedule = Constant()
    horizon: float | None = None
    updates_per_step: int = 1
    accumulate: int | None = dataclasses.field(default=None, metadata={"static": True})
    groups: Groups | None = dataclasses.field(default=None, metadata={"static": True})
    needs_values: bool = dataclasses.field(default=False, metadata={"static": True})

    def __post_init__(self):
        require(self, learning_rate=optional(RATE), clip=optional(positive), horizon=optional(positive))
        if self.accumulate is not None:
            check("accumulate", self.accumulate, whole, count)
        if not callable(self.schedule):
            raise ValueError(
                f"schedule: {self.schedule!r} is not a schedule; for a constant rate use schedule=constant"
            )
        if self.horizon is None and getattr(self.schedule, "needs_horizon", True):
            raise ValueError("horizon: a schedule needs the number of steps that it spans")
        check_options(self.options)
        _check_groups(self.groups, self.make)
        object.__setattr__(self, "groups", _pairs(self.groups) or None)  # which can be hashed

    def init(self, params: Params) -> PyTree:
        """Returns the first state of the optimizer, as optax does.

        Raises:
            ConfigError: a group contains no parameter.
        """
        state = self._transformation().init(params)
        if self.groups and optimization.averages(state):
            raise ConfigError(
                f"optimizer.groups: {optimization.name_of(self)} averages all parameters; use null"
            )
        return state

    def update(
        self, grads: Params, state: PyTree, params: Params | None = None, **values: object
    ) -> tuple[Params, PyTree]:
        """Returns updates from gradients, and the new state, as optax does."""
        return self._transformation().update(grads, state, params, **values)

    def rate(self, count: ArrayLike, peak: float | None = None) -> jax.Array | float:
        """Returns the learning rate at update `count`, counted from 0; `peak` replaces the full rate."""
        peak = self.learning_rate if peak is None else peak
        assert peak is not None  # asked only by a transformation that takes one
        if isinstance(self.schedule, Constant):
            return peak
        assert self.horizon is not None  # checked by the constructor
        updates = self.horizon * self.updates_per_step
        fraction = jnp.clip(
            count / (updates if self.accumulate is None else updates / self.accumulate), 0.0, 1.0
        )
        return peak * self.schedule(fraction)

    def _transformation(self) -> optax.GradientTransformationExtraArgs:
        built = self._built({})
        if self.groups:
            own = {pattern: self._built(dict(options)) for pattern, options in _pairs(self.groups)}
            built = optax.partition({**own, REST: built}, self._labels)
        if self.clip is not None:
            built = optax.chain(optax.clip_by_global_norm(self.clip), built)
        if self.accumulate is not None:
            built = optax.MultiSteps(built, self.accumulate).gradient_transformation()
        return optax.with_extra_args_support(built)

    def _built(self, options: dict[str, Any]) -> optax.GradientTransformation:
        peak = options.pop("learning_rate", self.learning_rate)
        options = {**self.options, **options}
        if peak is None:
            return self.make(**options)
        rate = peak if isinstance(self.schedule, Constant) else functools.partial(self.rate, peak=peak)
        return self.make(rate, **options)

    def _labels(self, params: Params) -> PyTree:
        """Returns the group of each parameter.

        Raises:
            ConfigError: a group contains none.
        """
        patterns, names = [pattern for pattern, _ in _pairs(self.groups)], list(named_leaves(params))
        labels = [next((each for each in patterns if re.search(each, name)), REST) for name in names]
        for pattern in patterns:
            if pattern not in labels:
                raise ConfigError(
                    f"optimizer.groups: {pattern!r} matches no parameter, or only those of earlier groups; there are"
                    f" {listed(names)}"
                )
        return jax.tree.unflatten(jax.tree.structure(params), labels)


def check_options(options: Mapping[str, object]) -> None:
    """Raises ValueError if an option of a known name, such as `b1`, is out of its range."""
    for name, value in options.items():
        if name in OPTIONS and isinstance(value, str | Mapping | list | tuple):
            raise ValueError(f"{name}: {value!r} is not a number")
        if name in OPTIONS:
            check(name, value, optional(OPTIONS[name]))


def _pairs(groups: Groups | None) -> tuple[tuple[str, tuple[tuple[str, float], ...]], ...]:
    pairs = groups.items() if isinstance(groups, Mapping) else groups or ()
    return tuple((pattern, tuple(dict(options).items())) for pattern, options in pairs)


def _check_groups(groups: Groups | None, make: Callable[..., object]) -> None:
    """Raises ValueError if a pattern is no regular expression, or an option is not one of the constructor."""
    known = ["learning_rate", *inspect.signature(make).parameters]
    for pattern, options in _pairs(groups):
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"groups: {pattern!r} is no regular expression: {error}") from error
        for name, value in options:
            if name not in known:
                raise ValueError(f"groups: {pattern!r}: the optimizer has no {name!r}{near(name, known)}")
            if name == "learning_rate":
                check(f"groups: {pattern!r}: learning_rate", value, RATE)
        check_options(dict(options))
