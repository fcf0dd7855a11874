"""Values that are not finite, in each part of a run: it ends, reports where, and keeps its finite checkpoints."""

import contextlib
import dataclasses
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from faults.tally import Tally
from runner.core import Batch, Dataset, Key, Metrics, Spec
from runner.datasets import Arrays
from runner.errors import NotFinite
from runner.loop import compiled, loop
from runner.storage import checkpoints, seals
from runner.storage.checkpoints import Checkpoints

LAST, LOG, EVALUATE = 6, 2, 4  # steps of a run, of a log interval, between evaluations
ROWS = 2  # of a batch
PLACES = {  # the names, of which the error must contain one
    "data": ("loss",),
    "loss": ("loss",),
    "gradient": ("weights", "opt_state", "loss"),
    "parameter": ("average",),
    "optimizer state": ("weights", "opt_state", "loss"),
}
OPTIMIZER = optax.rmsprop(0.01)  # an infinite second moment makes updates 0, so the loss stays finite


class State(NamedTuple):
    """Weights and, as a parameter that no loss depends on, their average."""

    made: Any
    weights: Any
    opt_state: Any
    average: Any


@dataclasses.dataclass(frozen=True)
class Poisoned:
    """Fits a plane; at one step a value in one part of the run stops being finite.

    Attributes:
        first: the step.
        poison: values `[4]` that are added at this step to loss, gradient, parameter and optimizer state; an array, so
            that all trials share one program.
    """

    first: float
    poison: Any

    def init(self, key: Key, spec: Spec) -> State:
        """Returns a state of zeros."""
        weights = jnp.zeros(spec.shape("x"))
        return State(jnp.zeros((), jnp.int32), weights, OPTIMIZER.init(weights), jnp.zeros_like(weights))

    def step(self, key: Key, state: State, batch: Batch) -> tuple[State, Metrics]:
        """Makes one step of the optimizer, and adds `poison` if it is the step `first`."""
        made = state.made + 1
        in_loss, in_gradient, in_parameter, in_optimizer = jnp.where(made == self.first, self.poison, 0.0)
        loss, gradient = jax.value_and_grad(_loss)(state.weights, batch)
        updates, opt_state = OPTIMIZER.update(gradient.at[0].add(in_gradient), state.opt_state)
        weights: Any = optax.apply_updates(state.weights, updates)
        opt_state = jax.tree.map(lambda leaf: leaf.at[0].add(in_optimizer), opt_state)
        average = (0.9 * state.average + 0.1 * weights).at[0].add(in_parameter)
        return State(made, weights, opt_state, average), {"loss": loss + in_loss}

    def evaluate(self, key: Key, state: State, batch: Batch) -> Metrics:
        """Returns no metrics; see `Blind`."""
        return {}


class Blind:
    """An evaluator with the same value for every state, so that the first evaluation is the best and is saved."""

    def names(self, *_: Any) -> tuple[str, ...]:
        """Returns the name of its only metric."""
        return ("distance",)

    def __call__(self, *_: Any) -> tuple[Metrics, dict]:
        """Returns the metric, and no figures."""
        return {"distance": 0.0}, {}


def numbers(every: int = 1, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Adds each kind of value that is not finite to each part of a run, at several steps.

    Args:
        every: one in `every` trials is run.
        seed: of the data; it also shifts the first trial.
        disabled: "finite" disables the check of the state; "" disables nothing.
    """
    bad, steps = (np.nan, np.inf, -np.inf), (1, LOG, EVALUATE, LAST - 1, LAST)
    for place in PLACES:
        tally = Tally(f"not finite: {place}")
        trials = [*itertools.product(bad, steps, (1, 3), ("always", "never"))]
        for trial in trials[seed % every :: every]:
            tally.count(_outcome(place, *trial, seed, disabled), f"{trial}, {seed=}")
        yield tally


def _outcome(place: str, bad: float, first: int, save_every: int, fuse: str, seed: int, disabled: str) -> str:
    saves = [step for step in range(1, LAST + 1) if step % save_every == 0 or step in (EVALUATE, LAST)]
    due = next(step for step in saves if step >= first)
    latest = {"data": first, "loss": first, "gradient": min(first + 1, due)}.get(place, due)
    scenario, data = _poisoned(place, bad, first, seed)
    how = loop.Loop(LAST, LOG, EVALUATE, save_every, best="distance", mode="min", fuse=fuse)
    with tempfile.TemporaryDirectory() as folder:
        error = _ended_by(how, scenario, data, Path(folder), seed, disabled)
        kept = Checkpoints(folder)
        if error is None or not first <= error.step <= latest or not _names(str(error), PLACES[place]):
            return "silent"
        template = jax.eval_shape(scenario.init, jax.random.key(0), data.train.spec)
        states = [kept.restore(template, step) for step in kept.steps]
        if not all(
            np.isfinite(leaf).all() for leaf in jax.tree.leaves([found[1] for found in states if found])
        ):
            return "silent"
        return (
            "survived"
            if kept.newest() == max((step for step in saves if step < first), default=None)
            else "lost"
        )


def _ended_by(how: Any, scenario: Any, data: Any, folder: Path, seed: int, disabled: str) -> NotFinite | None:
    off = [mock.patch.object(module, "sync") for module in (checkpoints, seals)]  # no power cuts here
    off += [mock.patch.object(compiled, "refuse_not_finite")] if disabled == "finite" else []
    with contextlib.ExitStack() as stack:
        for each in off:
            stack.enter_context(each)
        kept = stack.enter_context(Checkpoints(folder))
        try:
            how.run(scenario, data, key=jax.random.key(seed), evaluator=Blind(), checkpoints=kept)
        except NotFinite as error:
            return error
    return None


def _poisoned(place: str, bad: float, first: int, seed: int) -> tuple[Poisoned, Dataset]:
    x = np.random.default_rng(seed).normal(size=(LAST * ROWS, 3)).astype(np.float32)
    train = Arrays({"x": x, "y": x.sum(1)}, ROWS, shuffle=False)
    poison = [0.0 if place != name else bad for name in ("loss", "gradient", "parameter", "optimizer state")]
    if place == "data":  # set after reading, because reading data checks that it is finite
        train.arrays["x"] = train.arrays["x"].at[ROWS * first - 1, 0].set(bad)
    return Poisoned(float(first), np.array(poison, np.float32)), Dataset(train, train, train)


def _names(message: str, words: tuple[str, ...]) -> bool:
    return any(word in message.partition(" ")[0] for word in words)


def _loss(weights: jax.Array, batch: Batch) -> jax.Array:
    return jnp.mean((batch["x"] @ weights - batch["y"]) ** 2)
