"""What each part of a run draws from: a function of the run's key and the step alone."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner import Loop
from runner.core import Dataset, Spec
from runner.datasets import Sampler

ROOT = jax.random.key(3)
INIT, STEP, DATA, EVALUATE = (jax.random.fold_in(ROOT, number) for number in range(4))
STEPS = 5


def word(key) -> jax.Array:
    return jax.random.bits(key)


def draw(key, size):
    return {"x": jnp.broadcast_to(word(key), (size,))}


class Drawn(NamedTuple):
    first: jax.Array  # by `init`
    step: jax.Array  # [STEPS + 1], by each step
    data: jax.Array  # [STEPS + 1, batches]
    count: jax.Array


@dataclasses.dataclass(frozen=True)
class Draws:
    """A scenario that writes down what it draws."""

    batches_per_step: int | None = None

    def init(self, key, spec):
        none = jnp.zeros(STEPS, jnp.uint32)
        return Drawn(
            word(key), none, jnp.zeros((STEPS, self.batches_per_step or 1), jnp.uint32), jnp.int32(0)
        )

    def step(self, key, state, batch):
        x = batch["x"].reshape(self.batches_per_step or 1, -1)[:, 0]
        drawn = Drawn(
            state.first,
            state.step.at[state.count].set(word(key)),
            state.data.at[state.count].set(x),
            state.count + 1,
        )
        return drawn, {"loss": jnp.zeros(())}


class Evaluator:
    """Writes down the key of each evaluation."""

    def __init__(self):
        self.words = []

    def names(self, scenario, state, source):
        return ()

    def __call__(self, key, scenario, state, source):
        self.words.append(int(word(key)))
        return {}, {}


def words(key, numbers) -> list[int]:
    return [int(word(jax.random.fold_in(key, number))) for number in numbers]


@pytest.mark.parametrize("batches", [None, 1, 3])
@pytest.mark.parametrize("fuse", ["always", "never"])
def test_each_part_draws_from_its_own_key_and_each_step_and_batch_by_its_number(fuse, batches):
    source, evaluator = Sampler(draw, (), 4, spec=Spec({"x": ((), "uint32")})), Evaluator()
    loop = Loop(steps=STEPS, evaluate_every=2, fuse=fuse)
    data = Dataset(source, source, source)
    state = loop.run(Draws(batches), data, key=ROOT, evaluator=evaluator)
    assert int(state.first) == int(word(INIT))
    assert state.step.tolist() == words(STEP, range(STEPS))
    assert np.ravel(state.data).tolist() == words(DATA, range(STEPS * (batches or 1)))
    assert evaluator.words == words(EVALUATE, [2, 4, 5])
