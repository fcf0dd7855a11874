"""A small honest scenario, and scenarios with one fault each."""

import dataclasses
import time
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

from runner.core import Dataset, TrainState, copy, create, forward, infer, update
from runner.datasets import Arrays


def network(x, is_training):
    x = hk.BatchNorm(True, True, 0.9)(hk.Linear(4)(x), is_training)
    return hk.Linear(1)(jax.nn.relu(x))


NET = hk.without_apply_rng(hk.transform_with_state(network))


def data(batch_size: int = 8) -> Dataset:
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(24, 3)).astype("float32")
    rows = {"x": x, "y": (x @ [1.0, -2.0, 0.5])[:, None].astype("float32")}
    held_out = Arrays({name: values[16:] for name, values in rows.items()}, 8, shuffle=False)
    return Dataset(
        Arrays({name: values[:16] for name, values in rows.items()}, batch_size), held_out, held_out
    )


class State(NamedTuple):
    net: TrainState
    average: Any
    count: Any


@dataclasses.dataclass(frozen=True)
class Honest:
    """Least squares on noisy inputs, with an average of the parameters."""

    net: Any = NET
    optimizer: Any = dataclasses.field(default_factory=lambda: optax.adam(0.01))
    noise: float = 0.01

    def init(self, key, spec):
        net = create(self.net, self.optimizer, key, jnp.zeros((1, 3)))
        return State(net, copy(net.params), jnp.zeros((), jnp.int32))

    def perturb(self, key, x):
        return x + self.noise * jax.random.normal(key, x.shape)

    def loss(self, net, x, y):
        outputs, net = forward(self.net, net, None, x)
        return jnp.square(outputs - y).mean(), net

    def step(self, key, state, batch):
        x = self.perturb(key, batch["x"])

        def loss(net):
            value, net = self.loss(net, x, batch["y"])
            return value, (net, {"loss": value})

        net, metrics = update(self.optimizer, state.net, loss)
        average = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, state.average, net.params)
        return State(net, average, state.count + 1), metrics

    def predict(self, state, x):
        return infer(self.net, state.net, x)

    def evaluate(self, key, state, batch):
        return {"error": jnp.square(self.predict(state, batch["x"]) - batch["y"])[:, 0]}


calls = []


class ReadsACounter(Honest):
    def perturb(self, key, x):
        calls.append(1)
        return x * len(calls)


class ReadsTheClock(Honest):
    def perturb(self, key, x):
        return x * time.perf_counter()


class CallsTheHost(Honest):
    def perturb(self, key, x):
        scale = jax.experimental.io_callback(
            lambda: np.float32(len(calls)), jax.ShapeDtypeStruct((), "float32")
        )
        return x * scale


class ChangesItsArgument(Honest):
    def step(self, key, state, batch):
        state, metrics = super().step(key, state, batch)
        state.net.params["linear"]["w"] = state.net.params["linear"]["w"] * 1.0
        return state, metrics

    def evaluate(self, key, state, batch):
        state.net.params["linear"]["b"] = state.net.params["linear"]["b"] + 1.0
        return super().evaluate(key, state, batch)


class SharesArrays(Honest):
    def init(self, key, spec):
        state = super().init(key, spec)
        return state._replace(average=state.net.params)


class ChangesADtype(Honest):
    def step(self, key, state, batch):
        state, metrics = super().step(key, state, batch)
        return state._replace(count=state.count * 1.0), metrics


class GrowsItsState(Honest):
    def step(self, key, state, batch):
        after, metrics = super().step(key, state, batch)
        return after._replace(
            count=jnp.concatenate([jnp.atleast_1d(state.count), jnp.ones(1, jnp.int32)])
        ), metrics


class HoldsAPythonNumber(Honest):
    def init(self, key, spec):
        return super().init(key, spec)._replace(count=0)


class BranchesOnAnArray(Honest):
    def perturb(self, key, x):
        return x if x.sum() > 0 else -x


class ReusesItsKey(Honest):
    def perturb(self, key, x):
        return super().perturb(key, x) * jax.random.bernoulli(key, 0.9, x.shape)


class DrawsFromAConstantKey(Honest):
    def perturb(self, key, x):
        return super().perturb(jax.random.key(0), x)


class BeginsTheSameForEachSeed(Honest):
    def init(self, key, spec):
        return super().init(jax.random.key(0), spec)


class ReadsTheFirstBatchOnly(Honest):
    batches_per_step = 2

    def step(self, key, state, batch):
        return super().step(key, state, {name: rows[0] for name, rows in batch.items()})


class DropsTheNetsState(Honest):
    def loss(self, net, x, y):
        value, _ = super().loss(net, x, y)
        return value, net


class EvaluatesInTrainingMode(Honest):
    def predict(self, state, x):
        return forward(self.net, state.net, None, x)[0]


class TrainsInEvaluationMode(Honest):
    def loss(self, net, x, y):
        outputs, net = forward(self.net, net, None, x, is_training=False)
        return jnp.square(outputs - y).mean(), net


class AveragesTheWrongAxis(Honest):
    def evaluate(self, key, state, batch):
        return {"error": jnp.square(self.predict(state, batch["x"]) - batch["y"]).mean(0)}


class LooksAtOtherExamples(Honest):
    def predict(self, state, x):
        return super().predict(state, x - x.mean(0, keepdims=True))


class Ascends(Honest):
    def loss(self, net, x, y):
        value, net = super().loss(net, x, y)
        return 2 * jax.lax.stop_gradient(value) - value, net


class KeepsAParameter(Honest):
    def loss(self, net, x, y):
        params = {**net.params, "linear_1": jax.lax.stop_gradient(net.params["linear_1"])}
        return super().loss(net._replace(params=params), x, y)


class DividesByZero(Honest):
    def perturb(self, key, x):
        return x / jnp.zeros(())


class ReturnsAVectorAsAMetric(Honest):
    def step(self, key, state, batch):
        state, metrics = super().step(key, state, batch)
        return state, metrics | {"count": state.net.params["linear"]["b"]}


class DrawsOneTooMany(Honest):
    def sample(self, key, state, n):
        return jax.random.normal(key, (n + 1, 3))


class LosesDigits(Honest):
    def perturb(self, key, x):
        return jnp.exp(jnp.log(x + 1e6)) - 1e6


class CountsOnTheHost(Honest):
    """Its evaluations change what its steps read."""

    def step(self, key, state, batch):
        state, metrics = super().step(key, state, batch)
        scale = jax.pure_callback(lambda: np.float32(len(calls)), jax.ShapeDtypeStruct((), "float32"))
        return state._replace(average=jax.tree.map(lambda leaf: leaf + scale, state.average)), metrics

    def evaluate(self, key, state, batch):
        calls.append(1)
        return super().evaluate(key, state, batch)
