"""The GAN as an ordinary differential equation: both players follow one vector field, without optimizers."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from runner.integrators import Integrator
from runner.scenario import call, check_weights, create
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
        if not hasattr(self.loss, "discriminator"):
            raise ValueError("loss: ODEGAN needs the losses of two players, such as non_saturating")
        if not hasattr(self.integrator, "weights"):
            raise ValueError("integrator: ODEGAN needs a Runge-Kutta method, such as rk4")
        if self.latent_size < 1:
            raise ValueError(f"latent_size: {self.latent_size} is less than 1")
        if not self.step_size > 0:
            raise ValueError(f"step_size: {self.step_size} is not above 0")
        check_weights(self, "regularization")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the generator the data's shape, the discriminator one logit."""
        return {"generator": spec.shape("x"), "discriminator": ()}

    def init(self, key: Key, spec: Spec) -> ODEGANState:
        """Makes the first state."""
        generator_key, discriminator_key = jax.random.split(key)
        none = optax.identity()
        generator = create(self.generator, none, generator_key, jnp.zeros((1, self.latent_size)))
        return ODEGANState(
            generator, create(self.discriminator, none, discriminator_key, spec.example(1)["x"])
        )

    def step(self, key: Key, state: ODEGANState, batch: Batch) -> tuple[ODEGANState, Metrics]:
        """Makes one step of the integrator and one of the penalty, on one batch."""
        params = (state.generator.params, state.discriminator.params)
        keys = tuple(jax.random.fold_in(key, number) for number in range(3))
        field = jax.grad(lambda params: self._play(keys, state, params, batch["x"]), has_aux=True)
        descend = lambda grads: jax.tree.map(jnp.negative, grads)
        grads, (metrics, net_states) = field(params)
        metrics |= {
            "generator_gradient": optax.tree.norm(grads[0]),
            "discriminator_gradient": optax.tree.norm(grads[1]),
        }
        move = lambda params: descend(field(params)[0])
        generator, discriminator = self.integrator.step(move, params, descend(grads), self.step_size)
        if self.regularization is not None:
            penalty = lambda discriminator: self._penalty(keys, state, discriminator, len(batch["x"]))
            metrics["penalty"], push = jax.value_and_grad(penalty)(params[1])
            rate = self.step_size * self.regularization
            discriminator = jax.tree.map(lambda value, slope: value - rate * slope, discriminator, push)
        moved = zip(state, (generator, discriminator), net_states, strict=True)
        players = [player._replace(params=params, net_state=net_state) for player, params, net_state in moved]
        return ODEGANState(*players), metrics

    def _play(self, keys: tuple[Key, ...], state: ODEGANState, params: tuple, real: jax.Array):
        """Adds up both players' losses, each a function of its own parameters only: the gradient is the joint field."""
        fake, generator_state = self._fake(keys, state.generator._replace(params=params[0]), len(real))
        player, rival = state.discriminator._replace(params=params[1]), jax.lax.stop_gradient(params[1])
        real_logits, net_state = call(self.discriminator, player, keys[2], real, is_training=True)
        player = player._replace(net_state=net_state)
        fake_logits, net_state = call(
            self.discriminator, player, keys[2], jax.lax.stop_gradient(fake), is_training=True
        )
        rival_logits, _ = call(
            self.discriminator, player._replace(params=rival), keys[2], fake, is_training=True
        )
        losses = {
            "discriminator_loss": self.loss.discriminator(real_logits, fake_logits).mean(),
            "generator_loss": self.loss.generator(rival_logits).mean(),
        }
        return sum(losses.values()), (losses, (generator_state, net_state))

    def _penalty(self, keys: tuple[Key, ...], state: ODEGANState, discriminator: Any, size: int) -> jax.Array:
        def generator_loss(params):
            fake, _ = self._fake(keys, state.generator._replace(params=params), size)
            player = state.discriminator._replace(params=discriminator)
            return self.loss.generator(
                call(self.discriminator, player, keys[2], fake, is_training=True)[0]
            ).mean()

        grads = jax.grad(generator_loss)(state.generator.params)
        return optax.tree.norm(grads, squared=True)

    def _fake(self, keys: tuple[Key, ...], generator: TrainState, size: int) -> tuple[jax.Array, Any]:
        latents = jax.random.normal(keys[0], (size, self.latent_size))
        return call(self.generator, generator, keys[1], latents, is_training=True)

    def sample(self, key: Key, state: ODEGANState, n: int) -> jax.Array:
        """Draws x `[n, ...]`."""
        latents = jax.random.normal(key, (n, self.latent_size))
        return call(self.generator, state.generator, None, latents, is_training=False)[0]

    def evaluate(self, key: Key, state: ODEGANState, batch: Batch) -> Metrics:
        """Gives the logits of held-out and of generated x, and both players' losses, each [B]."""
        sides = batch["x"], self.sample(key, state, len(batch["x"]))
        logits = [call(self.discriminator, state.discriminator, None, x, is_training=False)[0] for x in sides]
        return self.loss.judge(*logits)
