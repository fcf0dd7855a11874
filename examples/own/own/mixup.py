"""Mixup: a classifier that is trained on mixtures of pairs of examples."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.declarations import maximized, minimized
from runner.core.nets import apply_gradients, call, create


class MixupState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    inputs: Statistics  # of x


@dataclasses.dataclass(frozen=True)
class Mixup:
    """Trains a classifier on convex mixtures of pairs of examples, and of the losses with their two labels.

    Attributes:
        net: x [B, ...] -> logits [B, classes].
        optimizer: of the net.
        loss: logits [B, classes], labels [B] -> values [B].
        alpha: parameter of Beta(alpha, alpha), the distribution of the first example's share; near 0 hardly anything
            is mixed.

    Source:
        Zhang et al. 2018, section 2. As in their code, one share is drawn for the whole batch.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    alpha: float = 0.2

    declared_metrics = minimized(loss="the loss") | maximized(accuracy="share of the examples that are right")

    def __post_init__(self):
        if not self.alpha > 0:
            raise ValueError(f"alpha: {self.alpha} is not above 0")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one logit for each class.

        Raises:
            ValueError: the data has no classes.
        """
        if spec.classes is None:
            raise ValueError("the data has no classes; Mixup needs some")
        return {"net": (spec.classes,)}

    def init(self, key: Key, spec: Spec) -> MixupState:
        """Returns the first state."""
        inputs = Statistics.of(spec, "x")
        x = inputs.standardize(spec.example(1)["x"])
        return MixupState(create(self.net, self.optimizer, key, x), inputs)

    def step(self, key: Key, state: MixupState, batch: Batch) -> tuple[MixupState, Metrics]:
        """Updates the net once, on a mixture of the batch with a permutation of itself."""
        net, inputs = state
        share_key, order_key, net_key = jax.random.split(key, 3)
        share = jax.random.beta(share_key, self.alpha, self.alpha)
        order = jax.random.permutation(order_key, len(batch["x"]))
        x, y = inputs.standardize(batch["x"]), batch["y"]
        mixture = share * x + (1 - share) * x[order]

        def loss(params):
            trial = net._replace(params=params)
            logits, net_state = call(self.net, trial, net_key, mixture, is_training=True)
            values = share * self.loss(logits, y) + (1 - share) * self.loss(logits, y[order])
            return values.mean(), net_state

        (value, net_state), grads = jax.value_and_grad(loss, has_aux=True)(net.params)
        net = apply_gradients(self.optimizer, net, grads, net_state)
        return MixupState(net, inputs), {"loss": value, "share": share}

    def predict(self, state: MixupState, x: jax.Array) -> jax.Array:
        """Returns logits `[B, classes]`."""
        net, inputs = state
        return call(self.net, net, None, inputs.standardize(x), is_training=False)[0]

    def evaluate(self, key: Key, state: MixupState, batch: Batch) -> Metrics:
        """Returns loss and accuracy of unmixed examples, each [B]."""
        logits, y = self.predict(state, batch["x"]), batch["y"]
        return {"loss": self.loss(logits, y), "accuracy": jnp.float32(logits.argmax(-1) == y)}
