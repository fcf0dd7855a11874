"""The variational autoencoder: codes are distributions close to the standard normal, so that x can be sampled."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Likelihood, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.bounds import count, likelihood, require, weight
from runner.core.declarations import minimized, undirected
from runner.core.nets import create, forward, infer, update_jointly


class VAEState(NamedTuple):
    """The state that one step passes to the next."""

    encoder: TrainState
    decoder: TrainState
    inputs: Statistics  #: of x


@dataclasses.dataclass(frozen=True)
class VAE:
    """Trains an encoder and a decoder by the evidence lower bound, with one latent vector sampled for each x.

    Source: Kingma and Welling 2014, equation 10; `beta` after Higgins et al. 2017.

    Attributes:
        encoder: x [B, ...] -> mean and log variance of the latents [B, 2 * latent_size].
        decoder: latents [B, latent_size] -> outputs in the shape of x [B, ...].
        optimizer: of both nets, which each have their own state of it.
        loss: the likelihood of x given the outputs, such as bernoulli, for x in [0, 1], or gaussian.
        latent_size: size of the latents.
        beta: weight of the divergence from the standard normal.
        standardize: whether to standardize x by the statistics of the training rows, which are part of the state.
    """

    encoder: NetLike
    decoder: NetLike
    optimizer: Optimizer
    loss: Likelihood
    latent_size: int
    beta: float = 1.0
    standardize: bool = False

    declared_metrics = minimized(
        loss="negative evidence lower bound in nats, with beta",
        reconstruction="negative log likelihood of x given its latents, in nats",
    ) | undirected(divergence="KL divergence of the latents from the prior, in nats")

    def __post_init__(self):
        require(self, loss=likelihood, latent_size=count, beta=weight)
        if self.loss.bounds and self.standardize:
            bounds = f"the bounds {self.loss.bounds} of the loss"
            raise ValueError(f"standardize: standardized x is outside {bounds}; use false")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns two numbers for each latent, and the shape of x; raises ValueError for x outside of the bounds."""
        low, high = self.loss.bounds or (-jnp.inf, jnp.inf)
        mean = spec.mean.get("x", jnp.zeros(()))
        if (mean < low).any() or (mean > high).any():
            needed = f"the mean of x is outside {low} to {high}, which the loss needs"
            raise ValueError(f"{needed}: use loss=gaussian, with scenario.standardize=true")
        return {"encoder": (2 * self.latent_size,), "decoder": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> VAEState:
        """Returns the first state."""
        encoder_key, decoder_key = jax.random.split(key)
        x, latents = spec.example(1)["x"], jnp.zeros((1, self.latent_size))
        encoder = create(self.encoder, self.optimizer, encoder_key, x, encoder=(2 * self.latent_size,))
        decoder = create(self.decoder, self.optimizer, decoder_key, latents, decoder=x.shape[1:])
        return VAEState(encoder, decoder, Statistics.of(spec, "x", self.standardize))

    def step(self, key: Key, state: VAEState, batch: Batch) -> tuple[VAEState, Metrics]:
        """Updates both nets once, by the gradient of the mean negative bound."""

        def loss(encoder, decoder):
            nets = VAEState(encoder, decoder, state.inputs)
            values, after = self._bound(key, nets, batch["x"], is_training=True)
            return values["loss"].mean(), (after, jax.tree.map(jnp.mean, values))

        (encoder, decoder), metrics = update_jointly(self.optimizer, (state.encoder, state.decoder), loss)
        return VAEState(encoder, decoder, state.inputs), metrics

    def evaluate(self, key: Key, state: VAEState, batch: Batch) -> Metrics:
        """Returns the negative bound and its two terms, in nats, each [B]."""
        return self._bound(key, state, batch["x"], is_training=False)[0]

    def _bound(self, key: Key, state: VAEState, x: jax.Array, is_training: bool):
        encoder_key, decoder_key, latent_key = jax.random.split(key, 3)
        x = state.inputs.standardize(x)
        outputs, encoder = forward(self.encoder, state.encoder, encoder_key, x, is_training=is_training)
        mean, log_variance = jnp.split(outputs, 2, axis=-1)
        latents = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(latent_key, mean.shape)
        outputs, decoder = forward(self.decoder, state.decoder, decoder_key, latents, is_training=is_training)
        reconstruction = self.loss.negative_log(outputs, x).reshape(len(x), -1).sum(1)
        divergence = 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(1)
        loss = reconstruction + self.beta * divergence
        return {"loss": loss, "reconstruction": reconstruction, "divergence": divergence}, (encoder, decoder)

    def features(self, state: VAEState, x: jax.Array) -> jax.Array:
        """Returns the means of the latents `[B, latent_size]`."""
        return jnp.split(infer(self.encoder, state.encoder, state.inputs.standardize(x)), 2, axis=-1)[0]

    def reconstruct(self, state: VAEState, x: jax.Array) -> jax.Array:
        """Returns reconstructions of x `[B, ...]` from the means of its latents."""
        return self._decode(state, self.features(state, x))

    def sample(self, key: Key, state: VAEState, n: int) -> jax.Array:
        """Samples latents; returns the means of x `[n, ...]` given them."""
        return self._decode(state, jax.random.normal(key, (n, self.latent_size)))

    def _decode(self, state: VAEState, latents: jax.Array) -> jax.Array:
        return state.inputs.restore(self.loss.mean(infer(self.decoder, state.decoder, latents)))
