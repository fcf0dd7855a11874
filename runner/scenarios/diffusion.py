"""Denoising diffusion: one net learns to predict the noise in noisy examples, and turns noise into examples."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, Optimizer, Params, Spec, Statistics, TrainState, averages
from runner.core.bounds import count, decay, loss_of_targets, optional, override, require, weight
from runner.core.declarations import minimized
from runner.core.losses import losses_of
from runner.core.nets import NetLike, create, forward, update


class DiffusionState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    average: Params  #: of the net, or None if it is off
    inputs: Statistics  #: of x, in the shape of one example, which is the shape of the noise that sampling starts from
    step: jax.Array  #: int32, the number of steps so far


@dataclasses.dataclass(frozen=True)
class Diffusion:
    """Trains a net to predict the noise in x, and samples by removing noise step by step.

    The signal rate falls from `max_signal_rate` at time 0 to `min_signal_rate` at time 1: the angle of the rates of
    signal and noise, whose squares sum to one, changes linearly. The net also takes the variance of the noise.

    Source: Ho et al. 2020, equation 14, with the cosine schedule of Nichol and Dhariwal 2021 in the continuous form
    of the Keras example "Denoising Diffusion Implicit Models" (Béres 2022); sampling after Song et al. 2021, equation
    12 without noise. Unlike in that example, x is standardized by statistics of the training rows, which are part of
    the state, instead of by a normalization layer, the moving average is debiased, and the BatchNorm statistics of the
    net are not averaged.

    Attributes:
        net: noisy x [B, ...], variance of the noise [B] -> noise [B, ...].
        optimizer: of the net.
        loss: predicted and true noise -> values [B, ...].
        image_weight: weight of the same loss of the predicted x, or None. With 1.0 this is the loss of the article of
            the source, which weights noise at high noise rates up to 50 times more, and gives worse samples.
        min_signal_rate: at time 1, above 0.
        max_signal_rate: at time 0, below 1. 0.95 leaves noise that suits images; points need 0.9999.
        diffusion_steps: steps of a sample, unless `sample` is given another number.
        ema: decay of the debiased moving average of the net, by which it samples and is evaluated, or None.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    image_weight: float | None = None
    min_signal_rate: float = 0.02
    max_signal_rate: float = 0.95
    diffusion_steps: int = 20
    ema: float | None = 0.999

    declared_metrics = minimized(loss="at random times", noise_loss="of the noise", image_loss="of x")
    weights = property(lambda self: averages.weights(self.ema))  # in samples and evaluations

    def __post_init__(self):
        require(self, loss=loss_of_targets, diffusion_steps=count)
        require(self, image_weight=optional(weight), ema=optional(decay))
        if not 0 < self.min_signal_rate < self.max_signal_rate < 1:
            rates = f"{self.min_signal_rate} and max_signal_rate {self.max_signal_rate}"
            raise ValueError(f"min_signal_rate: {rates} are not in rising order between 0 and 1, exclusive")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns the shape of x."""
        return {"net": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> DiffusionState:
        """Returns the first state; the average starts as a copy of the net."""
        inputs = Statistics.of(spec, "x").over(spec.shape("x"))
        net = create(self.net, self.optimizer, key, spec.example(1)["x"], jnp.zeros(1), net=spec.shape("x"))
        return DiffusionState(net, averages.start(net.params, self.ema), inputs, jnp.int32(0))

    def step(self, key: Key, state: DiffusionState, batch: Batch) -> tuple[DiffusionState, Metrics]:
        """Updates the net once, by the gradient of the mean loss at random times."""

        def loss(net):
            values, net = self._losses(key, net, state.inputs, batch["x"], is_training=True)
            return values["loss"].mean(), (net, jax.tree.map(jnp.mean, values))

        net, metrics = update(self.optimizer, state.net, loss)
        average = averages.moving_average(state.average, net.params, self.ema, state.step)
        return DiffusionState(net, average, state.inputs, state.step + 1), metrics

    def evaluate(self, key: Key, state: DiffusionState, batch: Batch) -> Metrics:
        """Returns the losses of held-out x at random times, each [B]."""
        net = averages.averaged(state.net, state.average, state.step)
        return self._losses(key, net, state.inputs, batch["x"], is_training=False)[0]

    def _losses(self, key: Key, net: TrainState, inputs: Statistics, x: jax.Array, is_training: bool):
        noise_key, time_key, net_key = jax.random.split(key, 3)
        x = inputs.standardize(x)
        noise_rate, signal_rate = self._rates(jax.random.uniform(time_key, (len(x),)), x)
        noise = jax.random.normal(noise_key, x.shape)
        noisy = signal_rate * x + noise_rate * noise
        predicted, image, net = self._denoise(net_key, net, noisy, noise_rate, signal_rate, is_training)
        noise_loss, image_loss = losses_of(self.loss, predicted, noise), losses_of(self.loss, image, x)
        total = noise_loss if self.image_weight is None else noise_loss + self.image_weight * image_loss
        return {"loss": total, "noise_loss": noise_loss, "image_loss": image_loss}, net

    def _denoise(self, key: Key | None, net: TrainState, noisy, noise_rate, signal_rate, is_training: bool):
        variance = jnp.square(noise_rate).reshape(-1)
        noise, net = forward(self.net, net, key, noisy, variance, is_training=is_training)
        return noise, (noisy - noise_rate * noise) / signal_rate, net

    def sample(
        self, key: Key, state: DiffusionState, n: int, diffusion_steps: int | None = None
    ) -> jax.Array:
        """Turns noise into x `[n, ...]`, without further randomness; `diffusion_steps` may be any number from 1."""
        steps = override(self, "diffusion_steps", diffusion_steps, count)
        net = averages.averaged(state.net, state.average, state.step)
        noise = jax.random.normal(key, (n, *state.inputs.mean.shape))

        def denoise(number, carry):
            noisy, _ = carry
            now, after = (self._rates(jnp.full(n, 1 - at / steps), noisy) for at in (number, number + 1))
            noise, x, _ = self._denoise(None, net, noisy, *now, is_training=False)
            return after[1] * x + after[0] * noise, x

        return state.inputs.restore(jax.lax.fori_loop(0, steps, denoise, (noise, noise))[1])

    def _rates(self, time: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        start, end = jnp.arccos(self.max_signal_rate), jnp.arccos(self.min_signal_rate)
        angle = (start + time * (end - start)).reshape(-1, *[1] * (x.ndim - 1))
        return jnp.sin(angle), jnp.cos(angle)
