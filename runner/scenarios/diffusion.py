"""Denoising diffusion: one net learns to tell the noise in noisy examples, and noise is turned into examples."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from runner.bounds import check, count, decay, loss_of_targets, optional, require, weight
from runner.scenario import (
    Statistics,
    averaged,
    create,
    forward,
    moving_average,
    per_example,
    start_average,
    update,
)
from runner.types import Batch, Key, Loss, Metrics, Optimizer, Params, Spec, TrainState


class DiffusionState(NamedTuple):
    """All that one step hands to the next."""

    net: TrainState
    average: Params  # of the net, or None when off
    inputs: Statistics  # of x, in the shape of one example, which is that of the noise to begin with
    step: jax.Array  # int32, steps made


@dataclasses.dataclass(frozen=True)
class Diffusion:
    """Trains a net to predict the noise in x, and samples by taking it out little by little.

    At time 0 an example is all signal but for `max_signal_rate`, at time 1 all noise but for `min_signal_rate`; between
    them the angle of the two rates, whose squares sum to one, moves evenly. The net is told the noise's variance.

    Source: Ho et al. 2020, equation 14, with the cosine schedule of Nichol and Dhariwal 2021 in the continuous form
    of Keras's example "Denoising Diffusion Implicit Models" (Béres 2022); sampling after Song et al. 2021, equation
    12 without noise. Unlike that example, x is standardised by statistics of the training rows that the state keeps,
    instead of by a normalisation layer, the moving average is warmed up, and the net's own BatchNorm statistics are not
    averaged.

    Attributes:
        net: noisy x [B, ...], variance of the noise [B] -> noise [B, ...].
        optimizer: of the net.
        loss: predicted and true values -> values [B, ...], of the noise.
        image_weight: weight of the same loss of the predicted x, or None. With 1.0 this is the loss of the source's
            article, which weighs noise at high noise rates up to 50 times more, and samples worse.
        min_signal_rate: of time 1, above 0.
        max_signal_rate: of time 0, below 1. 0.95 leaves noise that suits images; points need 0.9999.
        diffusion_steps: of a sample, unless it says otherwise.
        ema: decay of the net's moving average, warmed up, which then samples and is judged, or None.
    """

    net: Any
    optimizer: Optimizer
    loss: Loss
    image_weight: float | None = None
    min_signal_rate: float = 0.02
    max_signal_rate: float = 0.95
    diffusion_steps: int = 20
    ema: float | None = 0.999

    def __post_init__(self):
        require(self, loss=loss_of_targets, diffusion_steps=count)
        require(self, image_weight=optional(weight), ema=optional(decay))
        if not 0 < self.min_signal_rate < self.max_signal_rate < 1:
            given = f"{self.min_signal_rate} and max_signal_rate {self.max_signal_rate}"
            raise ValueError(
                f"min_signal_rate: {given} are not in rising order between 0 and 1, both exclusive"
            )

    @property
    def weights(self) -> str:
        """Which weights sample and are judged."""
        return "raw" if self.ema is None else "average"

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the net the data's own shape."""
        return {"net": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> DiffusionState:
        """Makes the first state; the average starts as a copy of the net."""
        inputs = Statistics.of(spec, "x").over(spec.shape("x"))
        net = create(self.net, self.optimizer, key, spec.example(1)["x"], jnp.zeros(1))
        return DiffusionState(net, start_average(net.params, self.ema), inputs, jnp.zeros((), jnp.int32))

    def step(self, key: Key, state: DiffusionState, batch: Batch) -> tuple[DiffusionState, Metrics]:
        """Makes one update by the gradient of the mean loss at random times."""

        def loss(net):
            values, net = self._losses(key, net, state.inputs, batch["x"], is_training=True)
            metrics = jax.tree.map(jnp.mean, values)
            return metrics["loss"], (net, metrics)

        net, metrics = update(self.optimizer, state.net, loss)
        average = moving_average(state.average, net.params, self.ema, state.step)
        return DiffusionState(net, average, state.inputs, state.step + 1), metrics

    def evaluate(self, key: Key, state: DiffusionState, batch: Batch) -> Metrics:
        """Gives the losses of held-out x at random times, each [B]."""
        net = averaged(state.net, state.average)
        return self._losses(key, net, state.inputs, batch["x"], is_training=False)[0]

    def _losses(self, key: Key, net: TrainState, inputs: Statistics, x: jax.Array, is_training: bool):
        noise_key, time_key, net_key = jax.random.split(key, 3)
        x = inputs.standardize(x)
        noise_rate, signal_rate = self._rates(jax.random.uniform(time_key, (len(x),)), x)
        noise = jax.random.normal(noise_key, x.shape)
        noisy = signal_rate * x + noise_rate * noise
        predicted, image, net = self._denoise(net_key, net, noisy, noise_rate, signal_rate, is_training)
        noise_loss, image_loss = per_example(self.loss(predicted, noise)), per_example(self.loss(image, x))
        total = noise_loss if self.image_weight is None else noise_loss + self.image_weight * image_loss
        return {"loss": total, "noise_loss": noise_loss, "image_loss": image_loss}, net

    def _denoise(self, key: Key | None, net: TrainState, noisy, noise_rate, signal_rate, is_training: bool):
        variance = jnp.square(noise_rate).reshape(-1)
        noise, net = forward(self.net, net, key, noisy, variance, is_training=is_training)
        return noise, (noisy - noise_rate * noise) / signal_rate, net

    def sample(
        self, key: Key, state: DiffusionState, n: int, diffusion_steps: int | None = None
    ) -> jax.Array:
        """Turns noise into x `[n, ...]`, without further randomness, in any number of steps.

        Raises:
            ValueError: fewer than one step.
        """
        check("diffusion_steps", diffusion_steps, optional(count))
        steps = self.diffusion_steps if diffusion_steps is None else diffusion_steps
        net, noise = averaged(state.net, state.average), jax.random.normal(key, (n, *state.inputs.mean.shape))

        def denoise(place, carry):
            noisy, _ = carry
            now, after = (self._rates(jnp.full(n, 1 - at / steps), noisy) for at in (place, place + 1))
            noise, x, _ = self._denoise(None, net, noisy, *now, is_training=False)
            return after[1] * x + after[0] * noise, x

        return state.inputs.restore(jax.lax.fori_loop(0, steps, denoise, (noise, noise))[1])

    def _rates(self, time: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        start, end = jnp.arccos(self.max_signal_rate), jnp.arccos(self.min_signal_rate)
        angle = (start + time * (end - start)).reshape(-1, *[1] * (x.ndim - 1))
        return jnp.sin(angle), jnp.cos(angle)
