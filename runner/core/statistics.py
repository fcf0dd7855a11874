"""Standardization by the statistics of the training rows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core.spec import Spec


class Statistics(NamedTuple):
    """Mean and standard deviation of the training rows; part of the state, so that predictions need no data."""

    mean: jax.Array
    std: jax.Array

    @classmethod
    def of(cls, spec: Spec, name: str, on: bool = True) -> "Statistics":
        """Returns the statistics of a feature; zero and one if it is not floating, or if `on` is false."""
        if on and name in spec.mean:
            return cls(jnp.asarray(spec.mean[name]), jnp.asarray(spec.std[name]))
        return cls(jnp.zeros(()), jnp.ones(()))

    def over(self, shape: tuple[int, ...]) -> "Statistics":
        """Returns the statistics, broadcast to the shape of one example."""
        return Statistics(*(jnp.broadcast_to(values, shape) for values in self))

    def standardize(self, values: jax.Array) -> jax.Array:
        """Returns floating values scaled to mean zero and standard deviation one; integers are unchanged."""
        if not jnp.issubdtype(values.dtype, jnp.floating):
            return values
        mean, std = self._over(values)
        return (values - mean) / std

    def restore(self, values: jax.Array) -> jax.Array:
        """Returns standardized values scaled back to the original mean and deviation, the inverse of `standardize`."""
        mean, std = self._over(values)
        return values * std + mean

    def _over(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.broadcast_to(self.mean, values.shape), jnp.broadcast_to(self.std, values.shape)
