"""An environment in which a pole is balanced on a cart."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Key
from runner.core.bounds import count, positive, require


class CartPoleState(NamedTuple):
    """The position and motion of cart and pole, and the number of steps so far."""

    position: jax.Array  # of the cart, in metres
    velocity: jax.Array
    angle: jax.Array  # of the pole from upright, in radians
    angular_velocity: jax.Array
    steps: jax.Array  # int32


@dataclasses.dataclass(frozen=True)
class CartPole:
    """A cart that is pushed left or right so that the pole on it does not fall; the reward of each step is 1.

    It satisfies `runner.core.Environment`.

    Source: Barto, Sutton and Anderson 1983, with the constants, the Euler steps of 0.02 s and the limits (12 degrees,
    2.4 m, 500 steps) of Gymnasium's CartPole-v1.

    Attributes:
        gravity: gravitational acceleration, in m/s^2.
        cart_mass: mass of the cart, in kg.
        pole_mass: mass of the pole, in kg.
        pole_length: half of the pole's length, in m.
        force: force of a push, in N.
        max_steps: number of steps after which an episode is truncated.
    """

    gravity: float = 9.8
    cart_mass: float = 1.0
    pole_mass: float = 0.1
    pole_length: float = 0.5
    force: float = 10.0
    max_steps: int = 500

    def __post_init__(self):
        require(self, gravity=positive, cart_mass=positive, pole_mass=positive, pole_length=positive)
        require(self, force=positive, max_steps=count)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of an observation: position, velocity, angle, angular velocity."""
        return (4,)

    @property
    def actions(self) -> int:
        """The number of actions: left and right."""
        return 2

    def reset(self, key: Key) -> CartPoleState:
        """Returns the first state of an episode, nearly at rest and nearly upright."""
        position, velocity, angle, angular_velocity = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        return CartPoleState(position, velocity, angle, angular_velocity, jnp.zeros((), jnp.int32))

    def observe(self, state: CartPoleState) -> jax.Array:
        """Returns the observation of a state: [4]."""
        return jnp.stack(state[:4])

    def step(self, key: Key, state: CartPoleState, action: jax.Array):
        """Pushes the cart; the dynamics are deterministic.

        Returns:
            The next state, the reward, whether the pole fell or the cart left the track (terminated), and whether the
            time limit is reached (truncated).
        """
        position, velocity, angle, angular_velocity, steps = state
        push = jnp.where(action == 1, self.force, -self.force)
        mass, moment = self.cart_mass + self.pole_mass, self.pole_mass * self.pole_length
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        pull = (push + moment * angular_velocity**2 * sine) / mass
        lever = self.pole_length * (4 / 3 - self.pole_mass * cosine**2 / mass)
        angular_acceleration = (self.gravity * sine - cosine * pull) / lever
        acceleration = pull - moment * angular_acceleration * cosine / mass
        moved = CartPoleState(
            position + 0.02 * velocity,
            velocity + 0.02 * acceleration,
            angle + 0.02 * angular_velocity,
            angular_velocity + 0.02 * angular_acceleration,
            steps + 1,
        )
        terminated = (jnp.abs(moved.position) > 2.4) | (jnp.abs(moved.angle) > math.radians(12))
        return moved, jnp.ones(()), terminated, moved.steps >= self.max_steps
