"""Regression: one net, one loss, one optimizer; the targets are numbers."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Loss, Metrics, NetLike, Optimizer, Spec, Statistics, TrainState
from runner.core.bounds import loss_of_targets, require
from runner.core.declarations import maximized, minimized
from runner.core.losses import losses_of
from runner.core.nets import create, forward, infer, update
from runner.core.reductions import per_example, weighted_mean


class RegressionState(NamedTuple):
    """The state that one step passes to the next."""

    net: TrainState
    inputs: Statistics  #: of x
    targets: Statistics  #: of y
    centre: jax.Array  #: mean of y in training, about which the moments of R2 are taken


@dataclasses.dataclass(frozen=True)
class Regression:
    """Trains a net to predict numbers; its metrics are in the units of the targets.

    Attributes:
        net: x [B, ...] -> outputs in the shape of y [B, ...].
        optimizer: of the net.
        loss: outputs, targets, both standardized -> values [B, ...], such as `optax.losses.squared_error`.
        standardize: whether to standardize x and y by the statistics of the training rows, which are part of the state.
    """

    net: NetLike
    optimizer: Optimizer
    loss: Loss
    standardize: bool = True

    declared_metrics = minimized(
        loss="the loss of standardized outputs", rmse="root mean squared error", mae="mean absolute error"
    ) | maximized(r2="share of the variance of the targets that is explained")

    def __post_init__(self):
        require(self, loss=loss_of_targets)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one output for each number of a target.

        Raises:
            ValueError: the targets are classes.
        """
        if spec.classes is not None:
            raise ValueError(
                "the targets of the data are classes: use scenario=supervised, or for a table dataset.task=regression"
            )
        return {"net": spec.shape("y")}

    def init(self, key: Key, spec: Spec) -> RegressionState:
        """Returns the first state."""
        inputs, targets = (Statistics.of(spec, name, self.standardize) for name in ("x", "y"))
        x = inputs.standardize(spec.example(1)["x"])
        net = create(self.net, self.optimizer, key, x, net=spec.shape("y"))
        return RegressionState(net, inputs, targets, jnp.array(spec.mean["y"]))

    def step(self, key: Key, state: RegressionState, batch: Batch) -> tuple[RegressionState, Metrics]:
        """Updates the net once, by the gradient of the mean loss; `weights` of a batch weigh its rows."""
        x, y = state.inputs.standardize(batch["x"]), state.targets.standardize(batch["y"])

        def loss(net):
            outputs, net = forward(self.net, net, key, x)
            value = weighted_mean(losses_of(self.loss, outputs, y), batch.get("weights"))
            return value, (net, {"loss": value})

        net, metrics = update(self.optimizer, state.net, loss)
        return state._replace(net=net), metrics

    def predict(self, state: RegressionState, x: jax.Array) -> jax.Array:
        """Returns predictions of y `[B, ...]`, in its units."""
        return state.targets.restore(infer(self.net, state.net, state.inputs.standardize(x)))

    def evaluate(self, key: Key, state: RegressionState, batch: Batch) -> Metrics:
        """Returns loss, absolute and squared error, and the moments of y about its training mean, as `judge` does."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: RegressionState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Returns the metrics of predictions `[B, ...]`, which are in the units of y: moments [B, ...], others [B]."""
        y = batch["y"]
        loss = losses_of(self.loss, *map(state.targets.standardize, (outputs, y)))
        error, deviation = outputs - y, y - jnp.broadcast_to(state.centre, y.shape)
        moments = {"squared_error": error**2, "squared_deviation": deviation**2, "deviation": deviation}
        return {"loss": loss, "mae": per_example(jnp.abs(error)), **moments}

    def summarize(self, means: Metrics) -> Metrics:
        """Computes RMSE and R2 = 1 - squared error / variance of the held-out targets, both of all numbers of y.

        The variance of each number of y is about its own mean. So R2 of several numbers is their mean weighted by
        their variances, `multioutput="variance_weighted"` of scikit-learn: numbers that are constant do not count. It
        is NaN if all are.
        """
        variance = means["squared_deviation"] - means["deviation"] ** 2
        varies = variance > 1e-6 * means["squared_deviation"]  # not an error of rounding
        return {
            "loss": means["loss"],
            "rmse": means["squared_error"].mean() ** 0.5,
            "mae": means["mae"],
            "r2": 1 - (means["squared_error"] * varies).sum() / (variance * varies).sum(),
        }
