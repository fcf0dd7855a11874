"""Generative adversarial nets: two players, two optimizers, alternating updates."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import AdversarialLoss, Batch, Key, Metrics, Optimizer, Params, Spec, TrainState, averages
from runner.core.bounds import adversarial_loss, at_most, count, decay, optional, require, weight
from runner.core.nets import LOGIT, NetLike, create, forward, infer, split_batches, update
from runner.losses import penalties


class GANState(NamedTuple):
    """The state that one step passes to the next."""

    generator: TrainState
    discriminator: TrainState
    average: Params  #: of the generator, or None if it is off
    step: jax.Array  #: int32, the number of steps so far


@dataclasses.dataclass(frozen=True)
class GAN:
    """Trains a generator against a discriminator (Goodfellow et al. 2014), in alternating updates.

    Attributes:
        generator: latents [B, latent_size] -> x [B, ...].
        discriminator: x [B, ...] -> logits [B].
        generator_optimizer: of the generator.
        discriminator_optimizer: of the discriminator.
        loss: the losses of the two players.
        latent_size: size of the latents, which are standard normal.
        critic_steps: updates of the discriminator, each on its own batch, before one of the generator; all compiled.
        r1: weight of half the squared gradient norm of the logits at real x (Mescheder et al. 2018), or None.
        gradient_penalty: weight of (gradient norm - 1)^2 between real and fake x (Gulrajani et al. 2017), or None.
        ema: decay of the debiased moving average of the generator, by which it samples and is evaluated, or None.
    """

    generator: NetLike
    discriminator: NetLike
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    loss: AdversarialLoss
    latent_size: int
    critic_steps: int = 1
    r1: float | None = None
    gradient_penalty: float | None = None
    ema: float | None = None

    declared_metrics = AdversarialLoss.declared_metrics  # a penalty has no direction
    standardize = False  # x is used as it is
    weights = property(lambda self: averages.weights(self.ema))  # of the generator when it samples
    batches_per_step = property(lambda self: self.critic_steps)  # updates of the generator need no data

    def __post_init__(self):
        require(self, loss=adversarial_loss, latent_size=count, critic_steps=count, ema=optional(decay))
        require(self, critic_steps=at_most(1000), r1=optional(weight), gradient_penalty=optional(weight))

    def updates_per_step(self) -> dict[str, int]:
        """Returns the number of updates of the discriminator, by which its schedule counts."""
        return {"discriminator_optimizer": self.critic_steps}

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns the shape of x for the generator, one logit for the discriminator."""
        return {"generator": spec.shape("x"), "discriminator": ()}

    def init(self, key: Key, spec: Spec) -> GANState:
        """Returns the first state; the average starts as a copy of the generator."""
        keys, latents, x = jax.random.split(key), jnp.zeros((1, self.latent_size)), spec.example(1)["x"]
        generator = create(self.generator, self.generator_optimizer, keys[0], latents, generator=x.shape[1:])
        critic = create(self.discriminator, self.discriminator_optimizer, keys[1], x, discriminator=LOGIT)
        return GANState(generator, critic, averages.start(generator.params, self.ema), jnp.int32(0))

    def step(self, key: Key, state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        """Updates the discriminator on each batch of `x [critic_steps, B, ...]`, then the generator once."""
        generator, discriminator, average, step = state
        *critic_keys, generator_key = jax.random.split(key, self.critic_steps + 1)
        for critic_key, real in zip(critic_keys, split_batches(batch, self.critic_steps), strict=True):
            loss = functools.partial(self._discriminator_loss, critic_key, generator, real["x"])
            discriminator, metrics = update(self.discriminator_optimizer, discriminator, loss)
        loss = functools.partial(self._generator_loss, generator_key, discriminator, batch["x"].shape[1])
        generator, generator_metrics = update(self.generator_optimizer, generator, loss)
        average = averages.moving_average(average, generator.params, self.ema, step)
        return GANState(generator, discriminator, average, step + 1), metrics | generator_metrics

    def _discriminator_loss(self, key: Key, generator: TrainState, real: jax.Array, net: TrainState):
        latent_key, generator_key, real_key, fake_key, penalty_key = jax.random.split(key, 5)
        fake, _ = forward(self.generator, generator, generator_key, self._latents(latent_key, len(real)))
        if real.ndim != fake.ndim:  # batch["x"] has critic_steps rows and no leading axis
            shapes = f"{real.shape[1:]}, those of the generator {fake.shape[1:]}"
            raise ValueError(f"x: examples have shape {shapes}: needs (critic_steps, B, ...)")
        real_logits, after_real = forward(self.discriminator, net, real_key, real)
        fake_logits, after_fake = forward(self.discriminator, after_real, fake_key, fake)
        metrics = {"real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()}
        metrics["discriminator_loss"] = self.loss.discriminator(real_logits, fake_logits).mean()
        penalty = self._penalties(jax.random.split(penalty_key, 3), after_real, real, fake)
        return metrics["discriminator_loss"] + sum(penalty.values()), (after_fake, metrics | penalty)

    def _penalties(self, keys: Key, net: TrainState, real: jax.Array, fake: jax.Array) -> Metrics:
        logits, values = lambda key: lambda x: forward(self.discriminator, net, key, x)[0], {}
        if self.r1 is not None:
            values["r1"] = self.r1 * 0.5 * penalties.squared_gradient_norm(logits(keys[0]), real).mean()
        if self.gradient_penalty is not None:
            penalty = penalties.gradient_penalty(logits(keys[1]), keys[2], real, fake).mean()
            values["gradient_penalty"] = self.gradient_penalty * penalty
        return values

    def _generator_loss(self, key: Key, discriminator: TrainState, size: int, net: TrainState):
        latent_key, generator_key, discriminator_key = jax.random.split(key, 3)
        fake, net = forward(self.generator, net, generator_key, self._latents(latent_key, size))
        logits, _ = forward(self.discriminator, discriminator, discriminator_key, fake)
        value = self.loss.generator(logits).mean()
        return value, (net, {"generator_loss": value})

    def _latents(self, key: Key, size: int) -> jax.Array:
        return jax.random.normal(key, (size, self.latent_size))

    def sample(self, key: Key, state: GANState, n: int) -> jax.Array:
        """Samples x `[n, ...]` from the averaged generator, or from the raw one if there is no average."""
        generator = averages.averaged(state.generator, state.average, state.step)
        return infer(self.generator, generator, self._latents(key, n))

    def evaluate(self, key: Key, state: GANState, batch: Batch) -> Metrics:
        """Returns the logits of held-out and of generated x, and the losses of both players, each [B]."""
        sides = batch["x"], self.sample(key, state, len(batch["x"]))
        return self.loss.judge(*(infer(self.discriminator, state.discriminator, x) for x in sides))
