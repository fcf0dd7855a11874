"""Training algorithms: what one update is."""

from runner.scenarios.gan import GAN, GANState
from runner.scenarios.regression import Regression, RegressionState
from runner.scenarios.supervised import Supervised, SupervisedState

__all__ = ["GAN", "GANState", "Regression", "RegressionState", "Supervised", "SupervisedState"]
