"""The GAN as an ordinary differential equation: both players follow one vector field, without optimizers."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from runner.core import AdversarialLoss, Batch, Key, Metrics, NetLike, PyTree, Spec, TrainState
from runner.core.bounds import adversarial_loss, count, optional, positive, require, runge_kutta, weight
from runner.core.nets import LOGIT, create, forward, infer
from runner.integrators import Integrator


class ODEGANState(NamedTuple):
    """The state that one step passes to the next."""

    generator: TrainState  #: its `opt_state` is empty, as that of the discriminator
    discriminator: TrainState


@dataclasses.dataclass(frozen=True)
class ODEGAN:
    """Integrates the joint gradient field of generator and discriminator, regularized by a penalty on the gradient.

    One step moves y = (discriminator, generator) along v(y) = (-grad of the discriminator's loss, -grad of the
    generator's loss) by one step of the integrator, with all stages on the same batch and latents; then the
    discriminator descends the squared norm of the generator's gradient at the start of the step.

    Source: Qin et al. 2020, "Training Generative Adversarial Networks by Solving Ordinary Differential Equations",
    algorithm 1. Unlike in its public notebook, the second-order method is Heun's (the tableau of the notebook is of
    first order) and the players move together (there, each moves while the other is fixed).

    Attributes:
        generator: latents [B, latent_size] -> x [B, ...].
        discriminator: x [B, ...] -> logits [B].
        loss: the losses of the two players.
        integrator: the Runge-Kutta method.
        latent_size: size of the latents, which are standard normal.
        step_size: the time of one step.
        regularization: weight of the penalty, or None.
    """

    generator: NetLike
    discriminator: NetLike
    loss: AdversarialLoss
    integrator: Integrator
    latent_size: int
    step_size: float = 0.1
    regularization: float | None = 0.07

    declared_metrics = AdversarialLoss.declared_metrics  # a norm or a penalty has no direction
    standardize = False  # x is used as it is

    def __post_init__(self):
        require(self, loss=adversarial_loss, integrator=runge_kutta, latent_size=count)
        require(self, step_size=positive, regularization=optional(weight))

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns the shape of x for the generator, one logit for the discriminator."""
        return {"generator": spec.shape("x"), "discriminator": ()}

    def init(self, key: Key, spec: Spec) -> ODEGANState:
        """Returns the first state."""
        keys, latents, none = jax.random.split(key), jnp.zeros((1, self.latent_size)), optax.identity()
        x = spec.example(1)["x"]
        generator = create(self.generator, none, keys[0], latents, generator=x.shape[1:])
        return ODEGANState(generator, create(self.discriminator, none, keys[1], x, discriminator=LOGIT))

    def step(self, key: Key, state: ODEGANState, batch: Batch) -> tuple[ODEGANState, Metrics]:
        """Computes one step of the integrator and one of the penalty, both on the same batch and latents."""
        losses = functools.partial(self._losses, key, state, batch["x"])
        gradient, params = jax.grad(losses, has_aux=True), tuple(net.params for net in state)
        grads, (nets, metrics) = gradient(params, params[1])
        field = lambda params: jax.tree.map(jnp.negative, gradient(params, params[1])[0])
        moved = self.integrator.step(field, params, jax.tree.map(jnp.negative, grads), self.step_size)
        metrics["generator_gradient"], metrics["discriminator_gradient"] = map(optax.tree.norm, grads)
        if self.regularization is not None:
            penalty = lambda rival: optax.tree.norm(gradient(params, rival)[0][0], squared=True)
            metrics["penalty"], slope = jax.value_and_grad(penalty)(params[1])
            rate = self.step_size * self.regularization
            moved = moved[0], jax.tree.map(lambda value, slope: value - rate * slope, moved[1], slope)
        return ODEGANState(*(net._replace(params=own) for net, own in zip(nets, moved, strict=True))), metrics

    def _losses(self, key: Key, state: ODEGANState, real: jax.Array, params: tuple, rival: PyTree):
        """Returns the sum of both losses, each of which depends on the `params` of its own player only.

        The generator plays against the parameters `rival` of the discriminator, which plays against constant examples.
        """
        keys = [jax.random.fold_in(key, part) for part in (0, 1, 2, 2, 2)]  # one draw of a discriminator
        generator, discriminator = (net._replace(params=own) for net, own in zip(state, params, strict=True))
        latents = jax.random.normal(keys[0], (len(real), self.latent_size))
        fake, generator = forward(self.generator, generator, keys[1], latents)
        real_logits, after = forward(self.discriminator, discriminator, keys[2], real)
        fake_logits, discriminator = forward(self.discriminator, after, keys[3], jax.lax.stop_gradient(fake))
        rival_logits, _ = forward(self.discriminator, after._replace(params=rival), keys[4], fake)
        losses = {"discriminator_loss": self.loss.discriminator(real_logits, fake_logits).mean()}
        losses["generator_loss"] = self.loss.generator(rival_logits).mean()
        return sum(losses.values()), ((generator, discriminator), losses)

    def sample(self, key: Key, state: ODEGANState, n: int) -> jax.Array:
        """Samples x `[n, ...]`."""
        return infer(self.generator, state.generator, jax.random.normal(key, (n, self.latent_size)))

    def evaluate(self, key: Key, state: ODEGANState, batch: Batch) -> Metrics:
        """Returns the logits of held-out and of generated x, and the losses of both players, each [B]."""
        sides = batch["x"], self.sample(key, state, len(batch["x"]))
        return self.loss.judge(*(infer(self.discriminator, state.discriminator, x) for x in sides))
