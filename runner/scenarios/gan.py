"""Generative adversarial nets: two players, two optimizers, updates in turn."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from runner.scenario import (
    apply_gradients,
    call,
    check_decay,
    check_weights,
    copy,
    create,
    moving_average,
)
from runner.types import AdversarialLoss, Batch, Key, Metrics, Optimizer, Params, Spec, TrainState

MOST_CRITIC_STEPS = 1000  # each is compiled by itself


class GANState(NamedTuple):
    """All that one step hands to the next."""

    generator: TrainState
    discriminator: TrainState
    average: Params  # of the generator, or None when off
    step: jax.Array  # int32, steps made


@dataclasses.dataclass(frozen=True)
class GAN:
    """Trains a generator against a discriminator (Goodfellow et al. 2014), in alternating updates.

    One step is `critic_steps` updates of the discriminator, each on a batch of its own, then one of the generator.

    Attributes:
        generator: latents [B, latent_size] -> x [B, ...].
        discriminator: x [B, ...] -> logits [B].
        generator_optimizer: of the generator.
        discriminator_optimizer: of the discriminator.
        loss: of the two players.
        latent_size: of the standard normal latents.
        critic_steps: updates of the discriminator for each one of the generator.
        r1: weight of half the squared gradient of the logits at real x (Mescheder et al. 2018, R1), or None.
        gradient_penalty: weight of (|gradient of the logits| - 1)^2 between real and fake x (Gulrajani et al. 2017),
            or None.
        ema: decay of the generator's moving average, warmed up, which then samples and is judged, or None.
    """

    generator: Any
    discriminator: Any
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    loss: AdversarialLoss
    latent_size: int
    critic_steps: int = 1
    r1: float | None = None
    gradient_penalty: float | None = None
    ema: float | None = None

    standardize = False  # x is as the data has it

    def __post_init__(self):
        if not hasattr(self.loss, "discriminator"):
            raise ValueError("loss: GAN needs the losses of two players, such as non_saturating")
        for name in ("latent_size", "critic_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 1")
        if self.critic_steps > MOST_CRITIC_STEPS:
            raise ValueError(f"critic_steps: {self.critic_steps} is more than {MOST_CRITIC_STEPS}")
        check_weights(self, "r1", "gradient_penalty")
        check_decay(self.ema)

    @property
    def weights(self) -> str:
        """Which of the generator's weights sample and are judged."""
        return "raw" if self.ema is None else "average"

    @property
    def batches_per_step(self) -> int:
        """One batch for each update of the discriminator; the generator's update needs no data."""
        return self.critic_steps

    def updates_per_step(self) -> dict[str, int]:
        """Tells the discriminator's schedule how fast its updates pass."""
        return {"discriminator_optimizer": self.critic_steps}

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the generator the data's shape, the discriminator one logit."""
        return {"generator": spec.shape("x"), "discriminator": ()}

    def init(self, key: Key, spec: Spec) -> GANState:
        """Makes the first state; the average starts as a copy of the generator."""
        generator_key, discriminator_key = jax.random.split(key)
        latents = jnp.zeros((1, self.latent_size))
        generator = create(self.generator, self.generator_optimizer, generator_key, latents)
        x = spec.example(1)["x"]
        discriminator = create(self.discriminator, self.discriminator_optimizer, discriminator_key, x)
        average: Any = None if self.ema is None else copy(generator.params)
        return GANState(generator, discriminator, average, jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        """Updates the discriminator on each batch of `x [critic_steps, B, ...]`, then the generator once."""
        generator, discriminator, average, step = state
        *critic_keys, generator_key = jax.random.split(key, self.critic_steps + 1)
        for critic_key, real in zip(critic_keys, batch["x"], strict=True):
            discriminator, metrics = self._update_discriminator(critic_key, generator, discriminator, real)
        size = batch["x"].shape[1]
        generator, generator_loss = self._update_generator(generator_key, generator, discriminator, size)
        if self.ema is not None:
            average = moving_average(average, generator.params, self.ema, step)
        return GANState(generator, discriminator, average, step + 1), metrics | {
            "generator_loss": generator_loss
        }

    def _update_discriminator(self, key: Key, generator: TrainState, state: TrainState, real: jax.Array):
        latent_key, generator_key, real_key, fake_key, penalty_key = jax.random.split(key, 5)
        latents = self._latents(latent_key, len(real))
        fake, _ = call(self.generator, generator, generator_key, latents, is_training=True)

        def loss(params):
            player = state._replace(params=params)
            real_logits, net_state = call(self.discriminator, player, real_key, real, is_training=True)
            player = player._replace(net_state=net_state)
            fake_logits, net_state = call(self.discriminator, player, fake_key, fake, is_training=True)
            value = self.loss.discriminator(real_logits, fake_logits).mean()
            metrics = {
                "discriminator_loss": value,
                "real_logit": real_logits.mean(),
                "fake_logit": fake_logits.mean(),
            }
            penalties = self._penalties(penalty_key, player, real, fake)
            return value + sum(penalties.values()), (metrics | penalties, net_state)

        grads, (metrics, net_state) = jax.grad(loss, has_aux=True)(state.params)
        return apply_gradients(self.discriminator_optimizer, state, grads, net_state), metrics

    def _penalties(self, key: Key, player: TrainState, real: jax.Array, fake: jax.Array) -> Metrics:
        def squared_slope(x):  # of the logit of each example in x: [B]
            logits = lambda x: call(self.discriminator, player, key, x, is_training=True)[0].sum()
            return jnp.square(jax.grad(logits)(x)).reshape(len(x), -1).sum(1)

        penalties = {}
        if self.r1 is not None:
            penalties["r1"] = self.r1 * 0.5 * squared_slope(real).mean()
        if self.gradient_penalty is not None:
            share = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
            slope = jnp.sqrt(
                squared_slope(share * real + (1 - share) * fake) + 1e-12
            )  # sqrt's own slope at 0 is infinite
            penalties["gradient_penalty"] = self.gradient_penalty * jnp.square(slope - 1).mean()
        return penalties

    def _update_generator(self, key: Key, state: TrainState, discriminator: TrainState, size: int):
        latent_key, generator_key, discriminator_key = jax.random.split(key, 3)
        latents = self._latents(latent_key, size)

        def loss(params):
            player = state._replace(params=params)
            fake, net_state = call(self.generator, player, generator_key, latents, is_training=True)
            logits, _ = call(self.discriminator, discriminator, discriminator_key, fake, is_training=True)
            return self.loss.generator(logits).mean(), net_state

        (value, net_state), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        return apply_gradients(self.generator_optimizer, state, grads, net_state), value

    def _latents(self, key: Key, size: int) -> jax.Array:
        return jax.random.normal(key, (size, self.latent_size))

    def sample(self, key: Key, state: GANState, n: int) -> jax.Array:
        """Draws x `[n, ...]` from the averaged generator, or from the raw one where there is no average."""
        player = state.generator if state.average is None else state.generator._replace(params=state.average)
        return call(self.generator, player, None, self._latents(key, n), is_training=False)[0]

    def evaluate(self, key: Key, state: GANState, batch: Batch) -> Metrics:
        """Gives the logits of held-out and of generated x, and both players' losses, each [B]."""
        sides = batch["x"], self.sample(key, state, len(batch["x"]))
        logits = [call(self.discriminator, state.discriminator, None, x, is_training=False)[0] for x in sides]
        return self.loss.judge(*logits)
