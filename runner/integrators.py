"""Explicit Runge-Kutta steps for ordinary differential equations over any pytree."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.typing import ArrayLike

from runner.core import PyTree

__all__ = ["Integrator", "euler", "heun", "rk4"]


class Integrator(NamedTuple):
    """An explicit Runge-Kutta method, given by its Butcher tableau, for fields that do not depend on time.

    Source: Hairer, Nørsett and Wanner 1993, "Solving Ordinary Differential Equations I", section II.1.
    """

    #: for each stage but the first, the weights of the slopes before it
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]  #: of all slopes, in the step

    def step(self, field: Callable[[PyTree], PyTree], y: PyTree, slope: PyTree, size: ArrayLike) -> PyTree:
        """Returns y after one step along dy/dt = field(y).

        Args:
            field: returns slopes in the structure of y.
            y: the value at the start of the step.
            slope: field(y), which the caller may need for other purposes too.
            size: the time of the step, a number.
        """
        slopes = [slope]

        def move(weights):
            change = lambda value, *slopes: (
                value + size * sum(w * s for w, s in zip(weights, slopes, strict=True))
            )
            return jax.tree.map(change, y, *slopes)

        for weights in self.stages:
            slopes.append(field(move(weights)))
        return move(self.weights)


euler = Integrator((), (1.0,))  #: Euler's method, of order 1
heun = Integrator(((1.0,),), (0.5, 0.5))  #: Heun's method, of order 2
#: the classical Runge-Kutta method, of order 4
rk4 = Integrator(((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
