"""The GAN as an ordinary differential equation: both players follow one vector field, without optimizers."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from runner.bounds import adversarial_loss, count, optional, positive, require, runge_kutta, weight
from runner.integrators import Integrator
from runner.scenario import create, forward, infer
from runner.types import AdversarialLoss, Batch, Key, Metrics, Spec, TrainState


class ODEGANState(NamedTuple):
    """All that one step hands to the next."""

    generator: TrainState  # without state of an optimizer
    discriminator: TrainState


@dataclasses.dataclass(frozen=True)
class ODEGAN:
    """Integrates the joint gradient field of generator and discriminator, held down by a penalty of the gradients.

    One step moves y = (discriminator, generator) along v(y) = (-grad of the discriminator's loss, -grad of the
    generator's loss) by one step of the integrator, all stages on the same batch and latents; then the discriminator
    descends the squared norm of the generator's gradient, taken where the step began.

    Source: Qin et al. 2020, "Training Generative Adversarial Networks by Solving Ordinary Differential Equations",
    algorithm 1. Unlike its public notebook, the second-order method is Heun's (the notebook's tableau is of first
    order) and the players move together (there, each moves while the other stands still).

    Attributes:
        generator: latents [B, latent_size] -> x [B, ...].
        discriminator: x [B, ...] -> logits [B].
        loss: of the two players.
        integrator: of the field.
        latent_size: of the standard normal latents.
        step_size: time that one step takes.
        regularization: weight of the penalty, or None.
    """

    generator: Any
    discriminator: Any
    loss: AdversarialLoss
    integrator: Integrator
    latent_size: int
    step_size: float = 0.1
    regularization: float | None = 0.07

    standardize = False  # x is as the data has it

    def __post_init__(self):
        require(self, loss=adversarial_loss, integrator=runge_kutta, latent_size=count)
        require(self, step_size=positive, regularization=optional(weight))

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the generator the data's shape, the discriminator one logit."""
        return {"generator": spec.shape("x"), "discriminator": ()}

    def init(self, key: Key, spec: Spec) -> ODEGANState:
        """Returns the first state."""
        generator_key, discriminator_key = jax.random.split(key)
        latents, x, none = jnp.zeros((1, self.latent_size)), spec.example(1)["x"], optax.identity()
        generator = create(self.generator, none, generator_key, latents)
        return ODEGANState(generator, create(self.discriminator, none, discriminator_key, x))

    def step(self, key: Key, state: ODEGANState, batch: Batch) -> tuple[ODEGANState, Metrics]:
        """Makes one step of the integrator and one of the penalty, both on the same batch and latents."""
        keys, x = [jax.random.fold_in(key, number) for number in range(3)], batch["x"]
        params = (state.generator.params, state.discriminator.params)
        gradient = jax.grad(lambda params: self._losses(keys, _with_params(state, params), x), has_aux=True)
        descend = lambda grads: jax.tree.map(jnp.negative, grads)
        grads, (after, metrics) = gradient(params)
        field = lambda params: descend(gradient(params)[0])
        generator, discriminator = self.integrator.step(field, params, descend(grads), self.step_size)
        metrics["generator_gradient"], metrics["discriminator_gradient"] = map(optax.tree.norm, grads)
        if self.regularization is not None:
            penalty = lambda own: self._penalty(keys, _with_params(state, (params[0], own)), len(x))
            metrics["penalty"], slopes = jax.value_and_grad(penalty)(params[1])
            rate = self.step_size * self.regularization
            discriminator = jax.tree.map(lambda value, slope: value - rate * slope, discriminator, slopes)
        return _with_params(after, (generator, discriminator)), metrics

    def _losses(self, keys: list[Key], nets: ODEGANState, real: jax.Array):
        """Returns the sum of both losses, whose gradient is the joint field.

        Each loss depends on the parameters of its own player only.
        """
        fake, generator = self._generate(keys, nets.generator, len(real))
        real_logits, after_real = forward(self.discriminator, nets.discriminator, keys[2], real)
        fake_logits, after_fake = forward(
            self.discriminator, after_real, keys[2], jax.lax.stop_gradient(fake)
        )
        constant = after_real._replace(params=jax.lax.stop_gradient(after_real.params))
        generator_logits, _ = forward(self.discriminator, constant, keys[2], fake)
        losses = {
            "discriminator_loss": self.loss.discriminator(real_logits, fake_logits).mean(),
            "generator_loss": self.loss.generator(generator_logits).mean(),
        }
        return sum(losses.values()), (ODEGANState(generator, after_fake), losses)

    def _penalty(self, keys: list[Key], nets: ODEGANState, size: int) -> jax.Array:
        """Returns the squared norm of the gradient of the generator's loss with respect to the generator."""

        def generator_loss(params):
            fake, _ = self._generate(keys, nets.generator._replace(params=params), size)
            return self.loss.generator(
                forward(self.discriminator, nets.discriminator, keys[2], fake)[0]
            ).mean()

        return optax.tree.norm(jax.grad(generator_loss)(nets.generator.params), squared=True)

    def _generate(self, keys: list[Key], generator: TrainState, size: int) -> tuple[jax.Array, TrainState]:
        return forward(
            self.generator, generator, keys[1], jax.random.normal(keys[0], (size, self.latent_size))
        )

    def sample(self, key: Key, state: ODEGANState, n: int) -> jax.Array:
        """Draws x `[n, ...]`."""
        return infer(self.generator, state.generator, jax.random.normal(key, (n, self.latent_size)))

    def evaluate(self, key: Key, state: ODEGANState, batch: Batch) -> Metrics:
        """Returns the logits of held-out and of generated x, and the losses of both players, each [B]."""
        sides = batch["x"], self.sample(key, state, len(batch["x"]))
        return self.loss.judge(*(infer(self.discriminator, state.discriminator, x) for x in sides))


def _with_params(nets: ODEGANState, params: Sequence[Any]) -> ODEGANState:
    return ODEGANState(*(net._replace(params=own) for net, own in zip(nets, params, strict=True)))
