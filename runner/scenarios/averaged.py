"""Averages of the parameters of any scenario."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Metrics, PyTree, Spec, TrainState, abilities, averages, optimization
from runner.core.averages import AveragedNet
from runner.core.bounds import decay, require
from runner.core.wrapper import Wrapper
from runner.errors import ConfigError

OF_A_STATE = {
    name
    for ability in (
        *(abilities.Sampling, abilities.Predicting, abilities.Judging, abilities.Spreading),
        *(abilities.Reconstructing, abilities.Encoding),
    )
    for name in abilities.members(ability)
}


@dataclasses.dataclass(frozen=True)
class Averaged(Wrapper):
    """Averages the parameters of all nets of another scenario, which is evaluated, samples and predicts by them.

    The training does not change. Each `TrainState` in the state becomes an `AveragedNet`. What else changes in
    training, such as the statistics of BatchNorm, is not averaged.

    Attributes:
        ema: decay of the debiased moving averages.
    """

    ema: float

    weights = "average"  # in samples and evaluations

    def __post_init__(self):
        require(self, ema=decay)
        if abilities.weights(self.scenario) == "average":
            raise ValueError(
                "ema: the scenario has an average of its own: set its decay by scenario.ema, or turn it off by"
                " scenario.ema=null"
            )

    def __getattr__(self, name: str) -> Callable[..., PyTree]:
        """Returns what only some scenarios have; a method of a state uses its averages."""
        method = super().__getattr__(name)
        if name not in OF_A_STATE:
            return method

        @functools.wraps(method)
        def with_averages(*arguments: PyTree, **settings: object) -> PyTree:
            return method(*map(_averaged, arguments), **settings)

        return with_averages

    def init(self, key: Key, spec: Spec) -> PyTree:
        """Returns the first state; the averages start as copies.

        Raises:
            ValueError: it contains no net, or an optimizer has an average of its own.
        """
        state = jax.tree.map(self._start, super().init(key, spec), is_leaf=_is_net)
        if not any(isinstance(part, AveragedNet) for part in jax.tree.leaves(state, is_leaf=_is_net)):
            raise ValueError("ema: the state of this scenario has no net, a TrainState, to be averaged")
        return state

    def step(self, key: Key, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        """Computes one step, which does not see the averages, and updates these."""
        after, metrics = super().step(key, _raw(state), batch)
        return jax.tree.map(self._follow, after, state, is_leaf=_is_net), metrics

    def evaluate(self, key: Key, state: PyTree, batch: Batch) -> Metrics:
        """Evaluates the averages on held-out data."""
        return super().evaluate(key, _averaged(state), batch)

    def _start(self, part: PyTree) -> PyTree:
        if not isinstance(part, TrainState):
            return part
        if optimization.averages(part.opt_state):
            raise ConfigError("ema: the optimizer averages the parameters itself; leave ema out")
        return AveragedNet(*part, averages.start(part.params, self.ema), jnp.int32(0))

    def _follow(self, part: PyTree, before: PyTree) -> PyTree:
        if not isinstance(part, TrainState):
            return part
        average = averages.moving_average(before.average, part.params, self.ema, before.step)
        return AveragedNet(*part, average, before.step + 1)


def _is_net(part: PyTree) -> bool:
    return isinstance(part, TrainState | AveragedNet)


def _raw(state: PyTree) -> PyTree:
    raw = lambda part: TrainState(*part[:3]) if isinstance(part, AveragedNet) else part
    return jax.tree.map(raw, state, is_leaf=_is_net)


def _averaged(state: PyTree) -> PyTree:
    def net(part):
        if not isinstance(part, AveragedNet):
            return part
        return averages.averaged(TrainState(*part[:3]), part.average, part.step)

    return jax.tree.map(net, state, is_leaf=_is_net)
