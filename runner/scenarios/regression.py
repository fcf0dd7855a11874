"""Regression: one net, one loss, one optimizer, numbers as targets."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from runner.bounds import loss_of_targets, require
from runner.scenario import Statistics, create, forward, infer, per_example, update
from runner.types import Batch, Key, Loss, Metrics, Optimizer, Spec, TrainState


class RegressionState(NamedTuple):
    """All that one step hands to the next."""

    net: TrainState
    inputs: Statistics  # of x
    targets: Statistics  # of y
    centre: jax.Array  # mean of y, about which R2's moments are taken


@dataclasses.dataclass(frozen=True)
class Regression:
    """Trains a net to predict numbers; its metrics are in the targets' own units.

    Attributes:
        net: x [B, ...] -> outputs of y's shape [B, ...].
        optimizer: of the net.
        loss: outputs, targets, both standardised -> values [B, ...], as `optax.losses.squared_error`.
        standardize: whether x and y are standardised by the training rows' statistics, which the state keeps.
    """

    net: Any
    optimizer: Optimizer
    loss: Loss
    standardize: bool = True

    def __post_init__(self):
        require(self, loss=loss_of_targets)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives one output for each number of a target.

        Raises:
            ValueError: the targets are classes.
        """
        if spec.classes is not None:
            raise ValueError(
                "the data's targets are classes: take scenario=supervised, or for a table dataset.task=regression"
            )
        return {"net": spec.shape("y")}

    def init(self, key: Key, spec: Spec) -> RegressionState:
        """Makes the first state."""
        inputs, targets = (Statistics.of(spec, name, self.standardize) for name in ("x", "y"))
        x = inputs.standardize(spec.example(1)["x"])
        return RegressionState(
            create(self.net, self.optimizer, key, x), inputs, targets, jnp.array(spec.mean["y"])
        )

    def step(self, key: Key, state: RegressionState, batch: Batch) -> tuple[RegressionState, Metrics]:
        """Makes one update by the gradient of the mean loss."""
        x, y = state.inputs.standardize(batch["x"]), state.targets.standardize(batch["y"])

        def loss(net):
            outputs, net = forward(self.net, net, key, x)
            value = per_example(self.loss(outputs, y)).mean()
            return value, (net, {"loss": value})

        net, metrics = update(self.optimizer, state.net, loss)
        return state._replace(net=net), metrics

    def predict(self, state: RegressionState, x: jax.Array) -> jax.Array:
        """Gives predictions of y `[B, ...]`, in its own units."""
        return state.targets.restore(infer(self.net, state.net, state.inputs.standardize(x)))

    def evaluate(self, key: Key, state: RegressionState, batch: Batch) -> Metrics:
        """Gives loss, absolute and squared error, and the moments of y about the training mean, each [B]."""
        return self.judge(state, self.predict(state, batch["x"]), batch)

    def judge(self, state: RegressionState, outputs: jax.Array, batch: Batch) -> Metrics:
        """Judges predictions `[B, ...]`, in y's own units."""
        y = batch["y"]
        loss = self.loss(state.targets.standardize(outputs), state.targets.standardize(y))
        error, deviation = outputs - y, y - jnp.broadcast_to(state.centre, y.shape)
        values = {"loss": loss, "mae": jnp.abs(error), "squared_error": error**2}
        moments = {"deviation": deviation, "squared_deviation": deviation**2}
        return {name: per_example(value) for name, value in (values | moments).items()}

    def summarize(self, means: Metrics) -> Metrics:
        """Makes RMSE and R2 = 1 - squared error / variance of the held-out targets."""
        variance = means["squared_deviation"] - means["deviation"] ** 2
        return {
            "loss": means["loss"],
            "rmse": means["squared_error"] ** 0.5,
            "mae": means["mae"],
            "r2": 1 - means["squared_error"] / variance,
        }
