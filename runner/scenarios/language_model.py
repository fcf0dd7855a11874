"""The language model: one net predicts each next token of a text."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, TrainState, decoding
from runner.core.bounds import count, loss_of_targets, override, positive, require
from runner.core.declarations import maximized, minimized
from runner.core.losses import losses_of
from runner.core.nets import create, forward, infer, update
from runner.core.reductions import mean_of_logits, per_example


class LanguageModelState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    entropy: jax.Array | None  #: of one more token, in nats, or None if it is unknown


@dataclasses.dataclass(frozen=True)
class LanguageModel:
    """Trains a causal net on windows of tokens (Bengio et al. 2003; the net may be a transformer).

    Attributes:
        net: tokens [B, T] -> logits of the next token at each position [B, T, V].
        optimizer: of the net.
        loss: logits [B, T, V], next tokens [B, T] -> values [B, T], such as cross entropy with integer labels, in nats.
        context: T, the most tokens that the net sees at once, in training and in sampling.
        burn_in: positions at the start of a window that evaluation leaves out because they have little context.
        length: tokens of a sample, unless `sample` is given another length.
        temperature: of a sample, likewise; below 1 probable tokens become more probable.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    context: int
    burn_in: int = 0
    length: int = 200
    temperature: float = 1.0

    declared_metrics = minimized(
        loss="the loss of each token",
        perplexity="exp of the loss",
        excess="loss above the entropy of the source",
    ) | maximized(accuracy="share of the tokens that are right")

    def __post_init__(self):
        require(self, loss=loss_of_targets, length=count, temperature=positive)
        if not 0 <= self.burn_in < self.context:
            given = f"{self.burn_in} of a context of {self.context}"
            raise ValueError(
                f"burn_in: {given} leaves no position to evaluate; use 0 or more, below the context"
            )

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one logit for each token of the vocabulary; raises ValueError if x is not a window of text."""
        if not spec.vocabulary:
            raise ValueError("the data has no vocabulary: use dataset=text or dataset=markov")
        if spec.shape("x") != (self.context,):
            raise ValueError(f"x has shape {spec.shape('x')}; scenario.context is {self.context}")
        return {"net": (len(spec.vocabulary),)}

    def init(self, key: Key, spec: Spec) -> LanguageModelState:
        """Returns the first state."""
        entropy = None if spec.entropy is None else jnp.asarray(spec.entropy, jnp.float32)
        shape = {"net": (self.context, len(spec.vocabulary))} if spec.vocabulary else {}
        return LanguageModelState(
            create(self.net, self.optimizer, key, spec.example(1)["x"], **shape), entropy
        )

    def step(self, key: Key, state: LanguageModelState, batch: Batch) -> tuple[LanguageModelState, Metrics]:
        """Updates the net once, by the gradient of the mean loss over all positions."""

        def loss(net):
            logits, net = forward(self.net, net, key, batch["x"])
            value = losses_of(self.loss, logits, batch["y"]).mean()
            return value, (net, {"loss": value})

        net, metrics = update(self.optimizer, state.net, loss)
        return state._replace(net=net), metrics

    def predict(self, state: LanguageModelState, x: jax.Array) -> jax.Array:
        """Returns logits of the next tokens `[B, T, V]`."""
        return infer(self.net, state.net, x)

    combine = staticmethod(mean_of_logits)

    def evaluate(self, key: Key, state: LanguageModelState, batch: Batch) -> Metrics:
        """Returns the loss after the burn-in, its excess over a known entropy, and the accuracy, each [B]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: LanguageModelState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns the metrics of logits `[B, T, V]`."""
        logits, y = outputs[:, self.burn_in :], batch["y"][:, self.burn_in :]
        metrics = {"loss": losses_of(self.loss, logits, y), "accuracy": per_example(logits.argmax(-1) == y)}
        return metrics if state.entropy is None else metrics | {"excess": metrics["loss"] - state.entropy}

    def summarize(self, means: Metrics) -> Metrics:
        """Computes the perplexity, exp of the mean loss over all tokens."""
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
        """Samples `length` tokens after those of the prompt, `[n, P + length]`; see `runner.core.decoding.write`."""
        length = override(self, "length", length, count)
        temperature = override(self, "temperature", temperature, positive)
        predict = lambda x: self.predict(state, x)
        return decoding.write(predict, key, n, prompt or (), length, self.context, temperature)
