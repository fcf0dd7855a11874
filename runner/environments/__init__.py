"""Environments as pure functions of a state, which run inside the compiled step."""

from runner.environments.cartpole import CartPole

__all__ = ["CartPole"]
