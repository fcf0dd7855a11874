import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import Modes, Spec
from runner.datasets import Arrays, Sampler
from runner.evaluators import Means, Samples, samples

KEY = jax.random.key(0)
MODES = Modes(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), 0.1)


class State(NamedTuple):
    shift: jax.Array


@dataclasses.dataclass(frozen=True)
class Normal:
    """Samples a normal distribution around the state's shift."""

    shape: tuple[int, ...]
    spread: float = 1.0

    def evaluate(self, key, state, batch):
        return {"loss": batch["x"].reshape(len(batch["x"]), -1).mean(1)}

    def sample(self, key, state, n):
        x = self.spread * jax.random.normal(key, (n, *self.shape))
        return jnp.broadcast_to(state.shift, x.shape) + x


class Silent(NamedTuple):
    def evaluate(self, key, state, batch):
        return {}


def held_out(shape, size=500, modes=None, batch_size=64):
    x = np.random.default_rng(0).normal(size=(size, *shape)).astype(np.float32)
    return Arrays({"x": x}, batch_size, spec=Spec.of({"x": x}, modes=modes), shuffle=False)


def state(shift=0.0):
    return State(jnp.array(shift))


def test_gives_the_means_and_the_distance_to_the_data():
    source, scenario = held_out((2,)), Normal((2,))
    near, figures = Samples(size=400)(KEY, scenario, state(), source)
    far, _ = Samples(size=400)(KEY, scenario, state(1.0), source)
    means, _ = Means()(KEY, scenario, state(), source)
    assert near.items() >= means.items()
    assert abs(near["energy_distance"]) < 0.03 < 0.3 < far["energy_distance"]
    assert set(figures) == {"samples"}
    assert tuple(near) == Samples().names(scenario, state(), source)


def test_counts_the_known_modes():
    source, scenario = held_out((2,), modes=MODES), Normal((2,), spread=0.01)
    metrics, _ = Samples(size=50)(KEY, scenario, state([1.0, 0.0]), source)
    assert (metrics["modes"], metrics["high_quality"]) == (1.0, 1.0)
    assert tuple(metrics) == Samples().names(scenario, state([1.0, 0.0]), source)


@pytest.mark.parametrize(
    ("shape", "drawn"), [((2,), 1), ((8, 8, 1), 1), ((8, 8, 3), 1), ((8, 8, 2), 0), ((3,), 0)]
)
def test_draws_points_of_the_plane_and_images(shape, drawn):
    _, figures = Samples(size=70)(KEY, Normal(shape), state(), held_out(shape))
    assert len(figures) == drawn
    for draw in figures.values():
        assert draw().axes


def test_large_samples_are_drawn_some_at_a_time_and_each_is_its_own(monkeypatch):
    monkeypatch.setattr(samples, "AT_ONCE", 2 * 64)
    drawn = []

    @dataclasses.dataclass(frozen=True)
    class Counting(Normal):
        def sample(self, key, state, n):
            drawn.append(n)
            return super().sample(key, state, n)

    _, figures = Samples(size=201)(KEY, Counting((2,)), state(), held_out((2,)))
    assert set(drawn) == {64}
    generated = figures["samples"]().axes[1].collections[0].get_offsets()
    assert len(np.unique(generated, axis=0)) == len(generated) == 201


@pytest.mark.parametrize(("size", "rows"), [(None, 100), (70, 70), (1000, 100)])
def test_compares_with_no_more_examples_than_it_draws_samples(size, rows):
    def draw(key, n):
        return {"x": jax.random.normal(key, (n, 2))}

    source = Sampler(draw, (), 32, spec=Spec({"x": ((2,), "float32")}), size=size)
    _, figures = Samples(size=100)(KEY, Normal((2,)), state(), source)
    real, generated = (panel.collections[0].get_offsets() for panel in figures["samples"]().axes)
    assert (len(real), len(generated)) == (rows, 100)
    assert len(np.unique(real, axis=0)) == rows


@pytest.mark.parametrize(
    ("size", "scenario", "source", "message"),
    [
        (2, Silent(), held_out((2,)), "evaluation: Silent has no `sample`"),
        (
            2,
            Normal((2,)),
            held_out((2,), size=1, batch_size=1),
            "evaluation: the held-out data has 1 of the 2 rows",
        ),
        (2, Normal((2,)), Sampler(lambda key, n: {}, (), 1, spec=Spec({})), "the data has no 'x'"),
        (
            2,
            Normal((3,)),
            held_out((2,)),
            r"evaluation: the samples have shape \(3,\) and the data's x has \(2,\)",
        ),
        (1, Normal((2,)), held_out((2,)), "size: 1 is less than 2"),
    ],
)
def test_refuses_what_it_cannot_evaluate_before_any_work(size, scenario, source, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        Samples(size).names(scenario, state(), source)


class Flat:
    """Features: the numbers of x themselves."""

    shape = (2,)

    def __call__(self, x):
        return np.asarray(x).reshape(len(x), -1)


def test_features_distinguish_collapse_from_what_is_like_the_data():
    source, judge = held_out((2,)), Samples(400, Flat())
    like, _ = judge(KEY, Normal((2,)), state(), source)
    collapsed, _ = judge(KEY, Normal((2,), spread=0.01), state(), source)
    assert tuple(like) == judge.names(Normal((2,)), state(), source)
    assert abs(like["kernel_distance"]) < 0.3 < collapsed["kernel_distance"]
    assert collapsed["precision"] == 1
    assert collapsed["recall"] < 0.1 < 0.8 < min(like["precision"], like["recall"])


def test_features_that_are_constant_in_the_data_count_as_they_are():
    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    x[:, 1] = 3
    source = Arrays({"x": x}, 64, spec=Spec.of({"x": x}), shuffle=False)
    metrics, _ = Samples(100, Flat())(KEY, Normal((2,)), state(), source)
    assert np.isfinite(list(metrics.values())).all()


def test_features_need_more_examples_than_neighbours():
    with pytest.raises(ValueError, match=r"^size: 3 is less than 4, the fewest samples"):
        Samples(3, Flat())
    with pytest.raises(ValueError, match=r"^evaluation: the held-out data has 3 of the 4 rows"):
        Samples(4, Flat()).names(Normal((2,)), state(), held_out((2,), size=3, batch_size=3))
