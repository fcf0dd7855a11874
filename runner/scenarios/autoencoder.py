"""The autoencoder: two nets, one loss: x is squeezed through a small code and made again."""

import dataclasses
from typing import Any, NamedTuple

import jax

from runner.scenario import Statistics, apply_gradients, call, create, per_example
from runner.types import Batch, Key, Loss, Metrics, Optimizer, Spec, TrainState


class AutoencoderState(NamedTuple):
    """All that one step hands to the next."""

    encoder: TrainState
    decoder: TrainState
    inputs: Statistics  # of x


@dataclasses.dataclass(frozen=True)
class Autoencoder:
    """Trains an encoder and a decoder to give x again (Hinton and Salakhutdinov 2006, without their pretraining).

    Attributes:
        encoder: x [B, ...] -> codes [B, code_size].
        decoder: codes [B, code_size] -> x [B, ...].
        optimizer: of each of the nets, by itself.
        loss: outputs and x, both standardised -> values [B, ...], as `optax.losses.squared_error`.
        code_size: of the code.
        standardize: whether x is standardised by the training rows' statistics, which the state keeps.
    """

    encoder: Any
    decoder: Any
    optimizer: Optimizer
    loss: Loss
    code_size: int
    standardize: bool = True

    def __post_init__(self):
        if not callable(self.loss):
            raise ValueError(
                "loss: Autoencoder needs a function of outputs and targets, such as squared_error"
            )
        if self.code_size < 1:
            raise ValueError(f"code_size: {self.code_size} is less than 1")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the encoder the code's size, the decoder the data's shape."""
        return {"encoder": (self.code_size,), "decoder": spec.shape("x")}

    def init(self, key: Key, spec: Spec) -> AutoencoderState:
        """Makes the first state."""
        encoder_key, decoder_key = jax.random.split(key)
        inputs, x = Statistics.of(spec, "x", self.standardize), spec.example(1)["x"]
        encoder = create(self.encoder, self.optimizer, encoder_key, x)
        codes, _ = call(self.encoder, encoder, None, x, is_training=False)
        return AutoencoderState(encoder, create(self.decoder, self.optimizer, decoder_key, codes), inputs)

    def step(self, key: Key, state: AutoencoderState, batch: Batch) -> tuple[AutoencoderState, Metrics]:
        """Makes one update of both nets by the gradient of the mean loss."""
        encoder, decoder, inputs = state
        encoder_key, decoder_key = jax.random.split(key)
        x = inputs.standardize(batch["x"])

        def loss(params):
            players = [net._replace(params=own) for net, own in zip((encoder, decoder), params, strict=True)]
            codes, encoder_state = call(self.encoder, players[0], encoder_key, x, is_training=True)
            outputs, decoder_state = call(self.decoder, players[1], decoder_key, codes, is_training=True)
            return per_example(self.loss(outputs, x)).mean(), (encoder_state, decoder_state)

        both = jax.value_and_grad(loss, has_aux=True)
        (value, net_states), grads = both((encoder.params, decoder.params))
        encoder = apply_gradients(self.optimizer, encoder, grads[0], net_states[0])
        decoder = apply_gradients(self.optimizer, decoder, grads[1], net_states[1])
        return AutoencoderState(encoder, decoder, inputs), {"loss": value}

    def features(self, state: AutoencoderState, x: jax.Array) -> jax.Array:
        """Gives codes `[B, code_size]`."""
        x = state.inputs.standardize(x)
        return call(self.encoder, state.encoder, None, x, is_training=False)[0]

    def predict(self, state: AutoencoderState, x: jax.Array) -> jax.Array:
        """Gives x again, `[B, ...]`, as its code remembers it."""
        codes = self.features(state, x)
        return state.inputs.restore(call(self.decoder, state.decoder, None, codes, is_training=False)[0])

    reconstruct = predict

    def evaluate(self, key: Key, state: AutoencoderState, batch: Batch) -> Metrics:
        """Gives the loss, and the squared error in the units of x, each [B]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: AutoencoderState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Judges reconstructions `[B, ...]`."""
        loss = self.loss(state.inputs.standardize(outputs), state.inputs.standardize(batch["x"]))
        return {"loss": per_example(loss), "squared_error": per_example((outputs - batch["x"]) ** 2)}
