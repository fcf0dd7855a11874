"""Metrics of all outputs and targets of held-out data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as known

from runner.compose.command_line import compose
from runner.core import Column, Spec
from runner.core.declarations import declares, maximized
from runner.datasets import Arrays
from runner.errors import ConfigError
from runner.evaluators import Means, whole
from runner.metrics import auc, balanced_accuracy, mae, r2
from runner.runs.training import Training

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype(np.float32)
Y = np.int32(RNG.integers(0, 3, 50))


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A scenario that predicts twice x."""

    def evaluate(self, key, state, batch):
        return {"loss": batch["x"].sum(1)}

    def predict(self, state, x):
        return state * x


def held_out(y, batch_size=7, **known):
    return Arrays({"x": X, "y": y}, batch_size, shuffle=False, spec=Spec.of({"x": X, "y": y}, **known))


def largest(outputs, targets):
    """Returns the largest output, which no declaration calls good or bad."""
    return outputs.max()


@declares(maximized(spread="the largest minus the smallest output"))
def spread(outputs, targets):
    return outputs.max() - outputs.min()


def loss(outputs, targets):
    return 0.0


def evaluated(evaluator, source):
    """Returns the metrics of a state, and checks that they have the names that were announced."""
    metrics, figures = evaluator(KEY, Scaled(), jnp.float32(2), source)
    assert set(evaluator.names(Scaled(), jnp.float32(2), source)) == metrics.keys()
    return metrics, figures


def test_metrics_of_a_set_are_those_of_all_its_rows_without_padding():
    frequencies = np.float32([0.2, 0.1, 0.7])
    source = held_out(Y, frequencies=frequencies)
    metrics, figures = evaluated(Means(metrics=[balanced_accuracy, auc, largest]), source)
    odds = np.exp(np.float64(2 * X))
    p = odds / odds.sum(1, keepdims=True)
    assert metrics["auc"] == pytest.approx(known.roc_auc_score(Y, p, multi_class="ovr"))
    assert metrics["balanced_accuracy"] == pytest.approx(known.balanced_accuracy_score(Y, X.argmax(1)))
    assert metrics["largest"] == 2 * X.max()
    assert metrics["majority"] == (Y == 2).mean()  # by the training rows, whatever is frequent here
    assert metrics["loss"] == pytest.approx(X.sum(1).mean())
    assert {"reliability", "classes"} == figures.keys()
    for draw in figures.values():
        assert draw().axes


def test_several_targets_have_metrics_of_their_own():
    y = X + np.float32([0.5, 1.0, 2.0])
    metrics, figures = evaluated(Means(per_target=[mae, r2]), held_out(y))
    assert metrics["mae/y2"] == pytest.approx(known.mean_absolute_error(y[:, 2], 2 * X[:, 2]), rel=1e-6)
    assert metrics["r2/y0"] == pytest.approx(known.r2_score(y[:, 0], 2 * X[:, 0]), rel=1e-6)
    assert len(figures["residuals"]().axes) == 3
    named = held_out(y, targets=[Column("price"), Column("area"), Column("age")])
    assert names(Means(per_target=[mae]), named) == ["loss", "mae/price", "mae/area", "mae/age"]


def test_one_target_and_many_have_no_metrics_of_their_own():
    one, many = (Spec.of({"x": X, "y": RNG.normal(size=(50, size))}) for size in (1, 33))
    assert names(Means(per_target=[mae]), held_out(X[:, :1])) == ["loss"]
    assert whole.target_names(one) == whole.target_names(many) == ()


def test_an_evaluation_without_such_metrics_is_that_of_earlier_versions():
    assert evaluated(Means(), held_out(Y))[0].keys() == {"loss"}
    assert not evaluated(Means(), held_out(Y))[1]


def names(evaluator, source):
    return list(evaluator.names(Scaled(), jnp.float32(2), source))


def test_what_cannot_be_computed_is_refused():
    source = held_out(Y)
    with pytest.raises(ValueError, match=r"^evaluation.metrics: the scenario has a metric loss, too; rename"):
        names(Means([loss]), source)
    with pytest.raises(ValueError, match=r"^evaluation.metrics: data has no outputs with targets"):
        names(Means([auc]), Arrays({"x": X}, 7))
    with pytest.raises(
        ValueError, match=r"^evaluation.metrics: add returns float32\(50, 3\); a metric is one"
    ):
        Means([np.add])(KEY, Scaled(), jnp.float32(2), held_out(X))


def test_more_outputs_than_can_be_kept_are_refused(monkeypatch):
    monkeypatch.setattr(whole, "LARGEST", 149)
    with pytest.raises(ValueError, match=r"^evaluation.metrics: need all 150 outputs .* more than the 149"):
        names(Means([auc]), held_out(Y))


def test_functions_that_cannot_be_told_apart_or_called_are_refused():
    with pytest.raises(ValueError, match=r"^metrics: two functions have the name auc; rename one"):
        Means([auc, auc])
    with pytest.raises(ValueError, match=r"^per_target: 3 is no function of outputs and targets"):
        Means(per_target=[3])


def prepared(*words):
    return Training(compose(["dataset=iris", "net=linear", *words])).prepared


def test_a_metric_of_a_users_own_is_named_on_the_command_line(monkeypatch):
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    named = "evaluation.metrics=[runner.metrics.auc,test_whole.largest,test_whole.spread]"
    assert prepared(named, "loop.best=auc").mode == prepared(named, "loop.best=spread").mode == "max"
    assert prepared(named, "loop.best=largest", "loop.mode=min").mode == "min"
    with pytest.raises(ValueError, match=r"^loop.mode: nothing declares whether a higher or a lower largest"):
        prepared(named, "loop.best=largest")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[auc]", "evaluation.metrics: 'auc' is not the dotted name of a function"),
        ("[runner.metrics.aux]", "evaluation.metrics: there is no runner.metrics.aux; did you mean auc?"),
        ("runner.metrics.auc", "is not a list, each"),
    ],
)
def test_what_is_no_list_of_functions_is_refused_before_anything_is_built(value, message):
    with pytest.raises(ConfigError) as error:
        compose([f"evaluation.metrics={value}"])
    assert message in str(error.value)
