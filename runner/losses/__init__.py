"""Losses, likelihoods, penalties and games that optax does not have; conf/loss names those of optax, too."""

from runner.losses.adversarial import hinge, least_squares, minimax, non_saturating, wasserstein
from runner.losses.classification import focal
from runner.losses.likelihoods import bernoulli, gaussian
from runner.losses.regression import absolute_error, huber

__all__ = [
    "absolute_error",
    "bernoulli",
    "focal",
    "gaussian",
    "hinge",
    "huber",
    "least_squares",
    "minimax",
    "non_saturating",
    "wasserstein",
]
