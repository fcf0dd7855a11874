"""Classification: one net, one loss, one optimizer."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.bounds import loss_of_targets, require
from runner.core.declarations import maximized, minimized
from runner.core.losses import losses_of
from runner.core.nets import create, forward, infer, update
from runner.core.reductions import mean_of_logits, weighted_mean

# Classes; with more of them, [B, classes, classes] would be the largest array of an evaluation.
LARGEST_CONFUSION = 100


class SupervisedState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    inputs: Statistics  #: of x


@dataclasses.dataclass(frozen=True)
class Supervised:
    """Trains a net to classify.

    Attributes:
        net: x [B, ...] -> logits [B, classes].
        optimizer: of the net.
        loss: logits [B, classes], labels [B] -> values [B], such as the cross entropy of optax with integer labels.
        standardize: whether to standardize x by the statistics of the training rows, which are part of the state.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    standardize: bool = True

    declared_metrics = minimized(loss="the loss") | maximized(accuracy="share of the examples that are right")

    def __post_init__(self):
        require(self, loss=loss_of_targets)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one logit for each class.

        Raises:
            ValueError: the data has no classes.
        """
        if "y" not in spec.features:
            raise ValueError(
                "the data has no labels y: in a folder of images, each class is a folder directly in dataset.path, or"
                " directly in its train, val and test, and there are two or more"
            )
        if spec.classes is None:
            raise ValueError(
                "the data has no classes: use scenario=regression, or for a table dataset.task=classification"
            )
        return {"net": (spec.classes,)}

    def init(self, key: Key, spec: Spec) -> SupervisedState:
        """Returns the first state."""
        inputs = Statistics.of(spec, "x", self.standardize)
        x = inputs.standardize(spec.example(1)["x"])
        shape = {} if spec.classes is None else {"net": (spec.classes,)}
        return SupervisedState(create(self.net, self.optimizer, key, x, **shape), inputs)

    def step(self, key: Key, state: SupervisedState, batch: Batch) -> tuple[SupervisedState, Metrics]:
        """Updates the net once, by the gradient of the mean loss; `weights` of a batch weigh its rows."""
        x, y = state.inputs.standardize(batch["x"]), batch["y"]

        def loss(net):
            logits, net = forward(self.net, net, key, x)
            value = weighted_mean(losses_of(self.loss, logits, y), batch.get("weights"))
            return value, (net, {"loss": value, "accuracy": _correct(logits, y).mean()})

        net, metrics = update(self.optimizer, state.net, loss)
        return SupervisedState(net, state.inputs), metrics

    def predict(self, state: SupervisedState, x: jax.Array) -> jax.Array:
        """Returns logits `[B, classes]`."""
        return infer(self.net, state.net, state.inputs.standardize(x))

    combine = staticmethod(mean_of_logits)

    def evaluate(self, key: Key, state: SupervisedState, batch: Batch) -> Metrics:
        """Returns loss [B], accuracy [B] and, for up to 100 classes, confusion [B, true class, predicted class]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: SupervisedState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns the metrics of logits `[B, classes]`."""
        y, classes = batch["y"], outputs.shape[-1]
        metrics = {"loss": losses_of(self.loss, outputs, y), "accuracy": _correct(outputs, y)}
        if classes <= LARGEST_CONFUSION:
            true, predicted = jax.nn.one_hot(y, classes), jax.nn.one_hot(outputs.argmax(-1), classes)
            metrics["confusion"] = true[:, :, None] * predicted[:, None, :]
        return metrics


def _correct(logits: jax.Array, y: jax.Array) -> jax.Array:
    return (logits.argmax(-1) == y).astype(jnp.float32)
