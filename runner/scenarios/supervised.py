"""Classification: one net, one loss, one optimizer."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.bounds import loss_of_targets, require, weights_of_classes
from runner.core.classes import class_weights, count_classes
from runner.core.declarations import maximized, minimized
from runner.core.losses import losses_of
from runner.core.nets import create, forward, infer, update
from runner.core.reductions import mean_of_logits, weighted_mean

LARGEST_CONFUSION = 100  # classes; with more of them, [B, classes, classes] would be the largest array


class SupervisedState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    inputs: Statistics  #: of x


class WeightedState(NamedTuple):
    """The state if the classes have weights."""

    net: TrainState
    inputs: Statistics
    weights: jax.Array  #: of the classes, [classes]


State: TypeAlias = SupervisedState | WeightedState


@dataclasses.dataclass(frozen=True)
class Supervised:
    """Trains a net to classify.

    Attributes:
        net: x [B, ...] -> logits [B, classes].
        optimizer: of the net.
        loss: logits [B, classes], labels [B] -> values [B], such as the cross entropy of optax with integer labels.
        standardize: whether to standardize x by the statistics of the training rows, which are part of the state.
        class_weights: factors of the losses of the classes, or "balanced" for the inverse of their shares of the rows.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    standardize: bool = True
    class_weights: str | Sequence[float] | None = None

    declared_metrics = minimized(loss="the loss") | maximized(accuracy="share of the examples that are right")

    def __post_init__(self):
        require(self, loss=loss_of_targets, class_weights=weights_of_classes)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one logit for each class; raises ValueError if the data has none."""
        return {"net": (count_classes(spec),)}

    def init(self, key: Key, spec: Spec) -> State:
        """Returns the first state."""
        inputs = Statistics.of(spec, "x", self.standardize)
        x = inputs.standardize(spec.example(1)["x"])
        shape = {} if spec.classes is None else {"net": (spec.classes,)}
        state = SupervisedState(create(self.net, self.optimizer, key, x, **shape), inputs)
        weights = self.class_weights
        return state if weights is None else WeightedState(*state, class_weights(weights, spec))

    def step(self, key: Key, state: State, batch: Batch) -> tuple[State, Metrics]:
        """Updates the net once, by the gradient of the mean loss; `weights` of a batch weigh its rows."""
        x, y = state.inputs.standardize(batch["x"]), batch["y"]

        def loss(net):
            logits, net = forward(self.net, net, key, x)
            each = self._each(state, logits, y)
            value = weighted_mean(each["loss"], batch.get("weights"))
            return value, (net, {"loss": value, "accuracy": each["accuracy"].mean()})

        net, metrics = update(self.optimizer, state.net, loss)
        return state._replace(net=net), metrics

    def predict(self, state: State, x: jax.Array) -> jax.Array:
        """Returns logits `[B, classes]`."""
        return infer(self.net, state.net, state.inputs.standardize(x))

    combine = staticmethod(mean_of_logits)

    def evaluate(self, key: Key, state: State, batch: Batch) -> Metrics:
        """Returns loss [B], accuracy [B] and, for up to 100 classes, confusion [B, true class, predicted class]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: State, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns the metrics of logits `[B, classes]`."""
        y, classes = batch["y"], outputs.shape[-1]
        metrics = self._each(state, outputs, y)
        if classes <= LARGEST_CONFUSION:
            true, predicted = jax.nn.one_hot(y, classes), jax.nn.one_hot(outputs.argmax(-1), classes)
            metrics["confusion"] = true[:, :, None] * predicted[:, None, :]
        return metrics

    def _each(self, state: State, logits: jax.Array, y: jax.Array) -> Metrics:
        losses, is_right = losses_of(self.loss, logits, y), logits.argmax(-1) == y
        losses = losses * state.weights[y] if isinstance(state, WeightedState) else losses
        return {"loss": losses, "accuracy": is_right.astype(jnp.float32)}
