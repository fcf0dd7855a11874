"""The checks of nets, datasets, evaluators and writers pass for those of runner, and name a fault."""

import faulty
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.evaluators import Means
from runner.testing import check_dataset, check_evaluator, check_net, check_writer
from runner.writers import JsonLines

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


class Endless:
    """A training source whose batches depend on how often they were asked for."""

    def __init__(self):
        self.spec, self.batch_size, self.size, self.calls = faulty.data().spec, 8, None, 0

    def feed(self, key, start, length):
        self.calls += 1
        return np.full(length, self.calls)

    def batch(self, key, item):
        return {"x": jnp.full((8, 3), item, "float32"), "y": jnp.zeros((8, 1))}


class Misshapen(Endless):
    def batch(self, key, item):
        return {"x": jnp.zeros((8, 2)), "y": jnp.zeros((8, 1))}


def transformed(network):
    return hk.without_apply_rng(hk.transform(network))


def test_a_net_of_haiku_passes():
    assert {result.outcome for result in check_net(faulty.NET, X)} == {"passed"}


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (lambda x: hk.Linear(2)(x).sum(0), r"returns shape \(2,\) for 4 rows"),
        (lambda x: jnp.log(-jnp.abs(hk.Linear(2)(x))), "not finite"),
        (
            lambda x: hk.Linear(2, w_init=hk.initializers.Constant(1.0))(x),
            "parameters do not depend on the key",
        ),
        (
            lambda x: hk.Linear(2)(x - x.mean(0, keepdims=True)),
            "the output of a row depends on the other rows",
        ),
        (lambda x: jnp.sqrt(hk.Linear(2)(x) * 0.0), "the gradient of linear.b is not finite"),
    ],
)
def test_the_fault_of_a_net_is_named(network, fault):
    with pytest.raises(AssertionError, match=fault):
        check_net(transformed(network), X)


def test_a_net_whose_state_grows_is_named():
    def init(key, x):
        return {"w": jax.random.normal(key, (3, 1))}, {"n": jnp.zeros(1)}

    def apply(params, state, x):
        return x @ params["w"], {"n": jnp.zeros(2)}

    with pytest.raises(AssertionError, match="the state of the net changes"):
        check_net((init, apply), X)


def test_a_dataset_of_arrays_passes():
    assert {result.outcome for result in check_dataset(faulty.data())} == {"passed"}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (Endless, "train: x of batch 0 depends on how it is asked for"),
        (Misshapen, "train: a batch has"),
    ],
)
def test_the_fault_of_a_training_source_is_named(source, fault):
    with pytest.raises(AssertionError, match=fault):
        check_dataset(source())


def test_a_pass_that_differs_from_the_one_before_is_named():
    held_out = Endless()
    held_out.size = 11
    with pytest.raises(AssertionError, match="validation: x differs from pass to pass"):
        check_dataset(faulty.data()._replace(validation=held_out))


def test_the_evaluator_of_means_passes():
    results = check_evaluator(Means(), faulty.Honest(), faulty.data().validation)
    assert {result.outcome for result in results[:3]} == {"passed"}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (lambda calls: np.zeros(3), r"metric error has shape \(3,\)"),
        (lambda calls: float(calls), "metric error differs from call to call"),
    ],
)
def test_the_fault_of_an_evaluator_is_named(value, fault):
    calls = []

    def evaluate(key, scenario, state, source):
        calls.append(1)
        return {"error": value(len(calls))}, {}

    with pytest.raises(AssertionError, match=fault):
        check_evaluator(evaluate, faulty.Honest(), faulty.data().validation)


def test_the_writer_of_records_passes():
    assert {result.outcome for result in check_writer(JsonLines)} == {"passed"}


def test_a_writer_that_begins_its_file_anew_is_named():
    class Anew:
        def __init__(self, directory):
            self._path = directory / "rows"
            self._path.write_text("")

        def write(self, step, metrics, figures):
            with self._path.open("a") as file:
                file.write("x" * (3 - step))

        def close(self):
            pass

    with pytest.raises(AssertionError, match="rows becomes shorter"):
        check_writer(Anew)
