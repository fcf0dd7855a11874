"""Losses of adversarial games; all others are optax's."""

from runner.losses.adversarial import hinge, least_squares, minimax, non_saturating, wasserstein

__all__ = ["hinge", "least_squares", "minimax", "non_saturating", "wasserstein"]
