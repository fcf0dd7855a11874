import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import Mean, Spec
from runner.datasets import Arrays, Sampler, Stream
from runner.evaluators import Means
from runner.evaluators.means import _evaluate_batch
from runner.writers.figures import png

KEY = jax.random.key(0)


class State(NamedTuple):
    slope: jax.Array


STATE = State(jnp.array(2.0))


@dataclasses.dataclass(frozen=True)
class Judge:
    """A scenario of one function: `values(state, batch)`."""

    values: Any
    rate: float = 0.1

    def evaluate(self, key, state, batch):
        return self.values(state, batch)


class Summarizing(Judge):
    def summarize(self, means):
        return {"r2": 1 - means["squared"] / (means["squared"] - means["value"] ** 2)}


class Predicting(Judge):
    def predict(self, state, x):
        return (state.slope * x).reshape(len(x), -1)[:, 0]


def rows(n, batch_size, **more):
    return Arrays({"x": np.arange(n, dtype=np.float32), **more}, batch_size, shuffle=False)


def value(state, batch):
    return {"value": batch["x"]}


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10])
def test_every_example_counts_once_whatever_the_batches(batch_size):
    source = rows(10, batch_size)
    metrics, figures = Means()(KEY, Judge(value), STATE, source)
    assert metrics == {"value": 4.5}
    assert type(metrics["value"]) is float
    assert not figures


def test_sums_are_as_exact_as_float64():
    x = np.full(3000, 16777217 / 16, np.float32)
    x[1::2] += 1
    metrics, _ = Means()(KEY, Judge(value), STATE, Arrays({"x": x}, 7, shuffle=False))
    assert metrics["value"] == x.astype(np.float64).mean()


def test_data_and_evaluation_have_keys_of_their_own_at_each_batch():
    def draw(key, size):
        return {"x": jax.random.uniform(key, (size,))}

    @dataclasses.dataclass(frozen=True)
    class Noise:
        def evaluate(self, key, state, batch):
            noise = jax.random.uniform(key, batch["x"].shape)
            return {
                "product": batch["x"] * noise,
                "data": batch["x"],
                "noise": noise,
                "square": batch["x"] ** 2,
            }

    source = Sampler(draw, (), 50, spec=Spec({"x": ((), "float32")}), size=1000)
    first, _ = Means()(KEY, Noise(), STATE, source)
    again, _ = Means()(KEY, Noise(), STATE, source)
    assert first == again
    assert first["product"] == pytest.approx(0.25, abs=0.03)  # 1/3, were the two keys one
    assert first["noise"] == pytest.approx(0.5, abs=0.03)  # 20 equal batches of 50 would be as far off as one
    assert Means()(jax.random.key(1), Noise(), STATE, source)[0] != first


def test_a_source_without_a_size_is_evaluated_by_one_batch_of_any_length():
    def episodes(state, batch):
        assert not batch
        return {"return": jnp.arange(5.0)}

    source = Sampler(lambda key, size: {}, (), 1, spec=Spec({}))
    assert Means()(KEY, Judge(episodes), STATE, source)[0] == {"return": 2.0}
    stream = Stream(lambda start: iter([{"x": np.arange(4.0, dtype=np.float32)}]))
    assert Means()(KEY, Judge(value), STATE, stream)[0] == {"value": 1.5}


def test_masked_metrics_are_sums_over_sums():
    def masked(state, batch):
        there = batch["x"] % 2 == 1
        total = jnp.where(there, batch["x"], jnp.nan)
        return {
            "odd": Mean(total, 1.0 * there),
            "never": Mean(total, jnp.zeros(len(total))),
            "all": batch["x"],
        }

    source = rows(10, 4)
    assert Means()(KEY, Judge(masked), STATE, source)[0] == {"odd": 5.0, "all": 4.5}
    assert Means().names(Judge(masked), STATE, source) == ("all", "never", "odd")


def test_what_is_no_number_is_spread_and_a_confusion_is_drawn():
    def several(state, batch):
        pair = jnp.stack([batch["x"], -batch["x"]], 1)
        return {
            "pair": pair,
            "table": jnp.stack([pair, pair], 1),
            "confusion": jnp.ones((len(pair), 3, 3)),
        }

    source = rows(10, 4)
    metrics, figures = Means()(KEY, Judge(several), STATE, source)
    tables = {f"table/{i}/{j}": 4.5 - 9 * j for i in (0, 1) for j in (0, 1)}
    assert metrics == {"pair/0": 4.5, "pair/1": -4.5, **tables}
    assert set(figures) == {"confusion"}
    assert figures["confusion"]().axes
    assert sorted(Means().names(Judge(several), STATE, source)) == sorted(metrics)


def test_a_summary_replaces_the_means():
    def moments(state, batch):
        return {"value": batch["x"], "squared": batch["x"] ** 2}

    source = rows(10, 4)
    assert Means()(KEY, Summarizing(moments), STATE, source)[0] == {"r2": 1 - 28.5 / 8.25}
    assert Means().names(Summarizing(moments), STATE, source) == ("r2",)
    constant = Arrays({"x": np.zeros(4, np.float32)}, 4, shuffle=False)
    assert np.isnan(Means()(KEY, Summarizing(moments), STATE, constant)[0]["r2"])


@pytest.mark.parametrize("shape", [(), (3,)])
def test_refuses_what_is_not_one_value_for_each_example(shape):
    def wrong(state, batch):
        return {"loss": jnp.zeros(shape)}

    source = rows(10, 4)
    for judge in (Means(), Means().names):
        with pytest.raises(
            ValueError, match=r"^loss: evaluate returns an array of shape .* one value for each"
        ):
            judge(*((KEY,) if judge == Means() else ()), Judge(wrong), STATE, source)


def test_names_neither_compute_nor_touch_the_source():
    source = rows(10, 4)
    source.feed = None
    assert Means().names(Judge(value), jax.eval_shape(lambda: STATE), source) == ("value",)


def test_another_number_of_the_scenario_compiles_nothing():
    source = rows(10, 4)
    Means()(KEY, Judge(value, rate=0.1), STATE, source)
    before = _evaluate_batch._cache_size()
    Means()(KEY, Judge(value, rate=0.2), STATE, source)
    assert _evaluate_batch._cache_size() == before


@pytest.mark.parametrize(
    ("x_shape", "y", "drawn"),
    [
        ((), np.float32, {"fit", "residuals"}),
        ((1,), np.float32, {"fit", "residuals"}),
        ((3,), np.float32, {"fit", "residuals"}),
        ((), np.int32, set()),
    ],
)
def test_predictions_of_numbers_are_drawn(x_shape, y, drawn):
    x = np.random.default_rng(0).normal(size=(10, *x_shape)).astype(np.float32)
    source = Arrays({"x": x, "y": np.arange(10).astype(y)}, 4, shuffle=False)
    _, figures = Means()(KEY, Predicting(lambda state, batch: {"loss": batch["y"]}), STATE, source)
    assert set(figures) == drawn
    for name in drawn:
        (panel,) = figures[name]().axes
        assert len(panel.collections[0].get_offsets()) == 10
    if "fit" in drawn:
        (panel,) = figures["fit"]().axes
        curve = x_shape != (3,)
        assert panel.get_xlabel() == ("x" if curve else "target")
        if curve:
            np.testing.assert_allclose(panel.lines[0].get_ydata(), 2 * np.sort(x.ravel()))
        assert png(figures["fit"]).startswith(b"\x89PNG")


def test_predictions_of_another_shape_than_the_targets_are_not_drawn():
    source = rows(10, 4, y=np.zeros((10, 2), np.float32))
    assert not Means()(KEY, Predicting(value), STATE, source)[1]
