"""Schedules: the factor on a learning rate as a function of the fraction of the run, so that rates stay numbers."""

import dataclasses

import jax.numpy as jnp

from runner.core.bounds import Bound, check, positive, require

__all__ = ["Constant", "Cosine", "Exponential", "Piecewise", "WarmupCosine"]

FRACTION = Bound(lambda value: 0 < value < 1, "{value} is not a fraction of the run, above 0 and below 1")
SHARE = Bound(lambda value: 0 <= value <= 1, "{value} is not a share of the full rate, from 0 to 1")


@dataclasses.dataclass(frozen=True)
class Constant:
    """The full rate throughout."""

    needs_horizon = False  # a schedule without this attribute needs the number of steps that it spans

    def __call__(self, fraction):
        """Returns the factor at a fraction of the run, in [0, 1]."""
        return jnp.ones_like(fraction)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Half a cosine, from the full rate down to `final` of it (Loshchilov and Hutter 2017, equation 5, one period)."""

    final: float = 0.0

    def __post_init__(self):
        require(self, final=SHARE)

    def __call__(self, fraction):
        """Returns the factor at a fraction of the run, in [0, 1]."""
        return _half_cosine(self.final, fraction)


@dataclasses.dataclass(frozen=True)
class WarmupCosine:
    """Linear from zero during the fraction `warmup` of the run, then half a cosine down to `final`."""

    warmup: float = 0.05
    final: float = 0.0

    def __post_init__(self):
        require(self, warmup=FRACTION, final=SHARE)

    def __call__(self, fraction):
        """Returns the factor at a fraction of the run, in [0, 1]."""
        decayed = _half_cosine(self.final, (fraction - self.warmup) / (1 - self.warmup))
        return jnp.where(fraction < self.warmup, fraction / self.warmup, decayed)


@dataclasses.dataclass(frozen=True)
class Exponential:
    """Exponential decay, to `final` at the end of the run."""

    final: float = 0.01

    def __post_init__(self):
        require(self, final=positive)

    def __call__(self, fraction):
        """Returns the factor at a fraction of the run, in [0, 1]."""
        return self.final**fraction


@dataclasses.dataclass(frozen=True)
class Piecewise:
    """A constant, multiplied by `factor` at each of the fractions `boundaries` of the run."""

    boundaries: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self):
        for boundary in self.boundaries:
            check("boundaries", boundary, FRACTION)
        require(self, factor=positive)

    def __call__(self, fraction):
        """Returns the factor at a fraction of the run, in [0, 1]."""
        return self.factor ** sum(jnp.where(fraction >= boundary, 1.0, 0.0) for boundary in self.boundaries)


def _half_cosine(final, fraction):
    return final + (1 - final) * 0.5 * (1 + jnp.cos(jnp.pi * fraction))
