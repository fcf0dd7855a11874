import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.datasets import Arrays, ring
from runner.evaluators import Means, Samples
from runner.types import Mean, Spec

KEY = jax.random.key(0)
X = np.arange(10, dtype=np.float32)[:, None]
SOURCE = Arrays({"x": X, "y": X**2}, 4, shuffle=False)


@dataclasses.dataclass(frozen=True)
class Scenario:
    scale: float = 1.0

    def evaluate(self, key, state, batch):
        x = batch["x"][:, 0]
        return {"x": self.scale * x, "pair": jnp.stack([x, -x], 1), "even": Mean(x, 1.0 * (x % 2 == 0))}

    def predict(self, state, x):
        return x**2

    def sample(self, key, state, n):
        return jax.random.normal(key, (n, 2))


def test_every_held_out_row_counts_once_though_the_last_batch_is_padded():
    metrics, _ = Means()(KEY, Scenario(), None, SOURCE)
    assert metrics["x"] == 4.5
    assert metrics["pair/0"] == 4.5
    assert metrics["pair/1"] == -4.5


def test_rows_without_a_count_are_left_out():
    assert Means()(KEY, Scenario(), None, SOURCE)[0]["even"] == (0 + 2 + 4 + 6 + 8) / 5


def test_another_number_of_the_scenario_does_not_compile_again():
    from runner.evaluators import means

    Means()(KEY, Scenario(2.0), None, SOURCE)
    compiled = means._judge._cache_size()
    assert Means()(KEY, Scenario(3.0), None, SOURCE)[0]["x"] == 13.5
    assert means._judge._cache_size() == compiled


def test_names_are_known_from_shapes_alone():
    assert set(Means().names(Scenario(), None, SOURCE)) == set(Means()(KEY, Scenario(), None, SOURCE)[0])


def test_a_scenario_that_averages_by_itself_is_told():
    class Wrong(Scenario):
        def evaluate(self, key, state, batch):
            return {"x": batch["x"].mean()}

    with pytest.raises(ValueError, match="one value for each example"):
        Means().names(Wrong(), None, SOURCE)


def test_numbers_predicted_are_drawn_and_a_confusion_too():
    class Classes(Scenario):
        def evaluate(self, key, state, batch):
            return {"confusion": jnp.ones((len(batch["x"]), 2, 2)) / 4}

    _, figures = Means()(KEY, Scenario(), None, SOURCE)
    assert set(figures) == {"fit"}
    metrics, figures = Means()(KEY, Classes(), None, SOURCE)
    assert metrics == {}
    assert "confusion" in figures
    assert all(draw().axes for draw in figures.values())


def test_samples_are_judged_against_held_out_points_and_known_modes():
    data = ring(held_out=300)

    @dataclasses.dataclass(frozen=True)
    class Perfect(Scenario):
        centres: Any = None

        def evaluate(self, key, state, batch):
            return {"loss": jnp.zeros(len(batch["x"]))}

        def sample(self, key, state, n):
            places, noise = jax.random.split(key)
            picked = jax.random.randint(places, (n,), 0, 8)
            return jnp.asarray(self.centres)[picked] + 0.05 * jax.random.normal(noise, (n, 2))

    scenario = Perfect(centres=np.asarray(data.spec.modes.centres))
    metrics, figures = Samples(size=300)(KEY, scenario, None, data.validation)
    assert set(metrics) == set(Samples(size=300).names(scenario, None, data.validation))
    assert abs(metrics["energy_distance"]) < 0.03
    assert metrics["modes"] == 8
    assert metrics["high_quality"] > 0.95
    assert set(figures) == {"samples"}


def test_a_scenario_that_cannot_sample_is_refused_with_what_to_take():
    class Mute:
        evaluate = Scenario.evaluate

    with pytest.raises(ValueError, match="evaluation=means"):
        Samples().names(Mute(), None, SOURCE)


def test_a_source_without_a_count_gives_one_batch_of_any_length():
    class Episodes:
        spec, batch_size, size = Spec({}), 1, None

        def feed(self, key, start, length):
            return None

        def batch(self, key, item):
            return {}

    jax.tree_util.register_pytree_node(Episodes, lambda s: ((), None), lambda static, leaves: Episodes())

    @dataclasses.dataclass(frozen=True)
    class Player:
        def evaluate(self, key, state, batch):
            return {"returns": jnp.arange(7.0)}

    assert Means()(KEY, Player(), None, Episodes())[0] == {"returns": 3.0}
