"""The autoencoder: one net encodes x by a small code, another reconstructs x from it."""

import dataclasses
from typing import NamedTuple

import jax

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.bounds import count, loss_of_targets, require
from runner.core.declarations import minimized
from runner.core.losses import losses_of
from runner.core.nets import create, forward, infer, update_jointly
from runner.core.reductions import per_example


class AutoencoderState(NamedTuple):
    """The state that one step passes to the next."""

    encoder: TrainState
    decoder: TrainState
    inputs: Statistics  #: of x


@dataclasses.dataclass(frozen=True)
class Autoencoder:
    """Trains an encoder and a decoder to reconstruct x (Hinton and Salakhutdinov 2006, without their pretraining).

    Attributes:
        encoder: x [B, ...] -> codes [B, code_size].
        decoder: codes [B, code_size] -> x [B, ...].
        optimizer: of both nets, which each have their own state of it.
        loss: outputs and x, both standardized -> values [B, ...], such as `optax.losses.squared_error`.
        code_size: size of the code.
        standardize: whether to standardize x by the statistics of the training rows, which are part of the state.
    """

    encoder: NetLike
    decoder: NetLike
    optimizer: Optimizer
    loss: Loss
    code_size: int
    standardize: bool = True

    declared_metrics = minimized(
        loss="the loss of standardized reconstructions", squared_error="mean squared error of reconstructions"
    )

    def __post_init__(self):
        require(self, loss=loss_of_targets, code_size=count)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns the size of the code for the encoder, the shape of x for the decoder."""
        return {"encoder": (self.code_size,), "decoder": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> AutoencoderState:
        """Returns the first state."""
        encoder_key, decoder_key = jax.random.split(key)
        inputs, x = Statistics.of(spec, "x", self.standardize), spec.example(1)["x"]
        encoder = create(self.encoder, self.optimizer, encoder_key, x, encoder=(self.code_size,))
        codes = infer(self.encoder, encoder, x)
        decoder = create(self.decoder, self.optimizer, decoder_key, codes, decoder=x.shape[1:])
        return AutoencoderState(encoder, decoder, inputs)

    def step(self, key: Key, state: AutoencoderState, batch: Batch) -> tuple[AutoencoderState, Metrics]:
        """Updates both nets once, by the gradient of the mean loss."""
        encoder_key, decoder_key = jax.random.split(key)
        x = state.inputs.standardize(batch["x"])

        def loss(encoder, decoder):
            codes, encoder = forward(self.encoder, encoder, encoder_key, x)
            outputs, decoder = forward(self.decoder, decoder, decoder_key, codes)
            value = losses_of(self.loss, outputs, x).mean()
            return value, ((encoder, decoder), {"loss": value})

        (encoder, decoder), metrics = update_jointly(self.optimizer, (state.encoder, state.decoder), loss)
        return AutoencoderState(encoder, decoder, state.inputs), metrics

    def features(self, state: AutoencoderState, x: jax.Array) -> jax.Array:
        """Returns codes `[B, code_size]`."""
        return infer(self.encoder, state.encoder, state.inputs.standardize(x))

    def predict(self, state: AutoencoderState, x: jax.Array) -> jax.Array:
        """Returns reconstructions of x `[B, ...]` from its codes."""
        return state.inputs.restore(infer(self.decoder, state.decoder, self.features(state, x)))

    reconstruct = predict

    def evaluate(self, key: Key, state: AutoencoderState, batch: Batch) -> Metrics:
        """Returns the loss, and the squared error in the units of x, each [B]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: AutoencoderState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns the metrics of reconstructions `[B, ...]`."""
        loss = losses_of(self.loss, *map(state.inputs.standardize, (outputs, batch["x"])))
        return {"loss": loss, "squared_error": per_example((outputs - batch["x"]) ** 2)}
