"""The variational autoencoder: codes are distributions near the standard normal, so new x can be drawn."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from runner.bounds import count, likelihood, require, weight
from runner.scenario import Statistics, create, forward, infer, update_jointly
from runner.types import Batch, Key, Likelihood, Metrics, Optimizer, Spec, TrainState


class VAEState(NamedTuple):
    """All that one step hands to the next."""

    encoder: TrainState
    decoder: TrainState
    inputs: Statistics  # of x


@dataclasses.dataclass(frozen=True)
class VAE:
    """Trains an encoder and a decoder by the evidence lower bound, with one latent drawn for each x.

    Source: Kingma and Welling 2014, equation 10; `beta` after Higgins et al. 2017.

    Attributes:
        encoder: x [B, ...] -> mean and log variance of the latents [B, 2 * latent_size].
        decoder: latents [B, latent_size] -> outputs in the shape of x [B, ...].
        optimizer: of each of the nets, by itself.
        loss: the likelihood of x that the outputs stand for, such as bernoulli, for x in [0, 1], or gaussian.
        latent_size: of the latents.
        beta: weight of the divergence from the standard normal.
        standardize: whether x is standardised by the training rows' statistics, which the state keeps.
    """

    encoder: Any
    decoder: Any
    optimizer: Optimizer
    loss: Likelihood
    latent_size: int
    beta: float = 1.0
    standardize: bool = False

    def __post_init__(self):
        require(self, loss=likelihood, latent_size=count, beta=weight)
        if self.loss.bounds and self.standardize:
            raise ValueError(
                f"standardize: standardised x leave the bounds {self.loss.bounds} of the loss; set false"
            )

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the encoder two numbers for each latent, the decoder the data's shape.

        Raises:
            ValueError: the data is outside the likelihood's bounds.
        """
        low, high = self.loss.bounds or (-jnp.inf, jnp.inf)
        mean = spec.mean.get("x", jnp.zeros(()))
        if (mean < low).any() or (mean > high).any():
            raise ValueError(
                f"the mean of x is outside {low} to {high}, which the loss needs: take loss=gaussian,"
                " with scenario.standardize=true"
            )
        return {"encoder": (2 * self.latent_size,), "decoder": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> VAEState:
        """Makes the first state."""
        encoder_key, decoder_key = jax.random.split(key)
        encoder = create(self.encoder, self.optimizer, encoder_key, spec.example(1)["x"])
        decoder = create(self.decoder, self.optimizer, decoder_key, jnp.zeros((1, self.latent_size)))
        return VAEState(encoder, decoder, Statistics.of(spec, "x", self.standardize))

    def step(self, key: Key, state: VAEState, batch: Batch) -> tuple[VAEState, Metrics]:
        """Makes one update of both nets by the gradient of the mean negative bound."""

        def loss(encoder, decoder):
            nets = VAEState(encoder, decoder, state.inputs)
            values, nets = self._bound(key, nets, batch["x"], is_training=True)
            metrics = jax.tree.map(jnp.mean, values)
            return metrics["loss"], (nets, metrics)

        (encoder, decoder), metrics = update_jointly(self.optimizer, (state.encoder, state.decoder), loss)
        return VAEState(encoder, decoder, state.inputs), metrics

    def evaluate(self, key: Key, state: VAEState, batch: Batch) -> Metrics:
        """Gives the negative bound and its two parts, in nats, each [B]."""
        return self._bound(key, state, batch["x"], is_training=False)[0]

    def _bound(self, key: Key, state: VAEState, x: jax.Array, is_training: bool):
        encoder_key, decoder_key, latent_key = jax.random.split(key, 3)
        x = state.inputs.standardize(x)
        outputs, encoder = forward(self.encoder, state.encoder, encoder_key, x, is_training=is_training)
        mean, log_variance = jnp.split(outputs, 2, axis=-1)
        latents = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(latent_key, mean.shape)
        outputs, decoder = forward(self.decoder, state.decoder, decoder_key, latents, is_training=is_training)
        nats = self.loss.negative_log(outputs, x)
        reconstruction = nats.reshape(len(x), -1).sum(1)
        divergence = 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(1)
        loss = reconstruction + self.beta * divergence
        values = {"loss": loss, "reconstruction": reconstruction, "divergence": divergence}
        return values, (encoder, decoder)

    def features(self, state: VAEState, x: jax.Array) -> jax.Array:
        """Gives the means of the latents `[B, latent_size]`."""
        return jnp.split(infer(self.encoder, state.encoder, state.inputs.standardize(x)), 2, axis=-1)[0]

    def reconstruct(self, state: VAEState, x: jax.Array) -> jax.Array:
        """Gives x again, `[B, ...]`, from the means of its latents."""
        return self._decode(state, self.features(state, x))

    def sample(self, key: Key, state: VAEState, n: int) -> jax.Array:
        """Draws latents and gives the means of their x `[n, ...]`."""
        return self._decode(state, jax.random.normal(key, (n, self.latent_size)))

    def _decode(self, state: VAEState, latents: jax.Array) -> jax.Array:
        return state.inputs.restore(self.loss.mean(infer(self.decoder, state.decoder, latents)))
