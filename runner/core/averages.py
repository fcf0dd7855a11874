"""Exponential moving averages of the parameters of a net; a decay of None turns an average off."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core.leaves import PyTree, copy
from runner.core.nets import TrainState
from runner.core.protocol import Params


class AveragedNet(NamedTuple):
    """A `TrainState` with the average of its parameters, as `runner.scenarios.Averaged` keeps it."""

    params: Params
    net_state: PyTree
    opt_state: PyTree
    average: Params
    step: jax.Array  #: int32, the number of steps so far


def start(params: Params, decay: float | None) -> PyTree:
    """Returns the initial value of an average, a copy of the parameters; None if it is off."""
    return None if decay is None else copy(params)


def moving_average(average: PyTree, params: Params, decay: float | None, step: jax.Array) -> PyTree:
    """Returns an average after one more step; None if it is off.

    The average is debiased as that of Adam (Kingma and Ba 2015, section 3): after t steps it is the decaying sum
    `s_t = decay * s_{t-1} + (1 - decay) * params` divided by `1 - decay^t`. It is stored after the division, so it is
    always a weighted mean of parameters, whatever the decay was in earlier steps.

    Args:
        average: the average after `step` steps.
        params: the parameters after one more step.
        decay: the decay, from 0 to less than 1, or None.
        step: the number of steps in the average.
    """
    if decay is None:
        return None
    rate = (decay - 1) / jnp.expm1((step + 1) * jnp.log1p(decay - 1))  # 1 in the first step, later 1 - decay
    return jax.tree.map(lambda old, new: (old + rate * (new - old)).astype(old.dtype), average, params)


def averaged(net: TrainState, average: PyTree, step: jax.Array) -> TrainState:
    """Returns the net with its averaged parameters, or unchanged if the average is off; before any step, it is the net.

    The optimizer, whose state belongs to other parameters, is left out.
    """
    if average is None:
        return net
    params = jax.tree.map(lambda old, new: jnp.where(step > 0, old, new), average, net.params)
    return net._replace(params=params, opt_state=())


def weights(decay: float | None) -> str:
    """Returns which weights `averaged` uses, for the attribute `weights` of a scenario: "average" or "raw"."""
    return "raw" if decay is None else "average"
