"""The language model: one net foretells each next token of a text."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from runner.bounds import check, count, loss_of_targets, optional, positive, require
from runner.scenario import create, forward, infer, mean_of_logits, per_example, update
from runner.types import Batch, Key, Loss, Metrics, Optimizer, Spec, TrainState


class LanguageModelState(NamedTuple):
    """All that one step hands to the next."""

    net: TrainState
    entropy: Any  # of one more token, in nats, or None where it is not known


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """Trains a causal net on windows of tokens (Bengio et al. 2003; the net may be a transformer).

    Attributes:
        net: tokens [B, T] -> logits of the next token at each place [B, T, V].
        optimizer: of the net.
        loss: logits [B, T, V], next tokens [B, T] -> values [B, T], as cross entropy with integer labels, in nats.
        context: T, the most tokens that the net sees at once, in training and in writing.
        burn_in: places at the start of a window, which have little to see, that evaluation leaves out.
        length: tokens of a sample, unless it says otherwise.
        temperature: of a sample, unless it says otherwise; below 1 the likely tokens become more so.
    """

    net: Any
    optimizer: Optimizer
    loss: Loss
    context: int
    burn_in: int = 0
    length: int = 200
    temperature: float = 1.0

    def __post_init__(self):
        require(self, loss=loss_of_targets, length=count, temperature=positive)
        if not 0 <= self.burn_in < self.context:
            raise ValueError(
                f"burn_in: {self.burn_in} of a context of {self.context} leave nothing; need 0 or more"
            )

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the net one logit for each token of the vocabulary.

        Raises:
            ValueError: the data is no text, or its windows are not the context.
        """
        if not spec.vocabulary:
            raise ValueError("the data has no vocabulary: take dataset=text or dataset=markov")
        if spec.shape("x") != (self.context,):
            raise ValueError(f"x has shape {spec.shape('x')}; scenario.context is {self.context}")
        return {"net": (len(spec.vocabulary),)}

    def init(self, key: Key, spec: Spec) -> LanguageModelState:
        """Makes the first state."""
        entropy = None if spec.entropy is None else jnp.asarray(spec.entropy, jnp.float32)
        return LanguageModelState(create(self.net, self.optimizer, key, spec.example(1)["x"]), entropy)

    def step(self, key: Key, state: LanguageModelState, batch: Batch) -> tuple[LanguageModelState, Metrics]:
        """Makes one update by the gradient of the mean loss over all places."""

        def loss(net):
            logits, net = forward(self.net, net, key, batch["x"])
            value = per_example(self.loss(logits, batch["y"])).mean()
            return value, (net, {"loss": value})

        net, metrics = update(self.optimizer, state.net, loss)
        return state._replace(net=net), metrics

    def predict(self, state: LanguageModelState, x: jax.Array) -> jax.Array:
        """Gives logits of the next tokens `[B, T, V]`."""
        return infer(self.net, state.net, x)

    combine = staticmethod(mean_of_logits)

    def evaluate(self, key: Key, state: LanguageModelState, batch: Batch) -> Metrics:
        """Gives the loss after the burn-in, how much it exceeds a known entropy, and the accuracy, each [B]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: LanguageModelState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Judges logits `[B, T, V]`."""
        logits, y = outputs[:, self.burn_in :], batch["y"][:, self.burn_in :]
        metrics = {"loss": per_example(self.loss(logits, y)), "accuracy": per_example(logits.argmax(-1) == y)}
        return metrics if state.entropy is None else metrics | {"excess": metrics["loss"] - state.entropy}

    def summarize(self, means: Metrics) -> Metrics:
        """Makes the perplexity, exp of the mean loss over all tokens."""
        return means | {"perplexity": math.e ** means["loss"]}

    def sample(
        self,
        key: Key,
        state: LanguageModelState,
        n: int,
        length: int | None = None,
        temperature: float | None = None,
        prompt: tuple[int, ...] | None = None,
    ) -> jax.Array:
        """Writes `length` tokens after those of the prompt: `[n, P + length]`; without one, the first is drawn evenly.

        Raises:
            ValueError: a length below 1, or a temperature that is not above 0.
        """
        check("length", length, optional(count))
        check("temperature", temperature, optional(positive))
        length = self.length if length is None else length
        temperature = self.temperature if temperature is None else temperature
        prompt = () if prompt is None else prompt

        def write(carry, key):
            window, written = carry  # tokens [n, context], of which the first `written` are in use
            logits = self.predict(state, window)[:, jnp.maximum(written - 1, 0)]
            token = jax.random.categorical(key, jnp.where(written > 0, logits / temperature, 0.0))
            window = jnp.where(written < self.context, window, jnp.roll(window, -1, axis=1))
            written = jnp.minimum(written + 1, self.context)
            return (window.at[:, written - 1].set(token), written), token

        seen = jnp.array(prompt[-self.context :], jnp.int32)
        window = jnp.zeros((n, self.context), jnp.int32).at[:, : len(seen)].set(seen[None])
        _, tokens = jax.lax.scan(write, (window, jnp.int32(len(seen))), jax.random.split(key, length))
        given = jnp.broadcast_to(jnp.array(prompt, jnp.int32)[None], (n, len(prompt)))
        return jnp.concatenate([given, tokens.T], axis=1)
