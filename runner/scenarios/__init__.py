"""Training algorithms, each of which defines one update."""

from runner.scenarios.autoencoder import Autoencoder, AutoencoderState
from runner.scenarios.averaged import Averaged
from runner.scenarios.diffusion import Diffusion, DiffusionState
from runner.scenarios.ensemble import Ensemble
from runner.scenarios.gan import GAN, GANState
from runner.scenarios.language_model import LanguageModel, LanguageModelState
from runner.scenarios.ode_gan import ODEGAN, ODEGANState
from runner.scenarios.ppo import PPO, PPOState
from runner.scenarios.regression import Regression, RegressionState
from runner.scenarios.supervised import Supervised, SupervisedState
from runner.scenarios.vae import VAE, VAEState
from runner.scenarios.wrappers import Frozen, Watched

__all__ = [
    "GAN",
    "ODEGAN",
    "PPO",
    "VAE",
    "Autoencoder",
    "AutoencoderState",
    "Averaged",
    "Diffusion",
    "DiffusionState",
    "Ensemble",
    "Frozen",
    "GANState",
    "LanguageModel",
    "LanguageModelState",
    "ODEGANState",
    "PPOState",
    "Regression",
    "RegressionState",
    "Supervised",
    "SupervisedState",
    "VAEState",
    "Watched",
]
