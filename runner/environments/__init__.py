"""Environments as pure functions of a state, so that they run in the compiled step."""

from runner.environments.cartpole import CartPole

__all__ = ["CartPole"]
