import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import Loop
from runner.core import TrainState, apply_gradients, call, create
from runner.datasets import Arrays
from runner.scenarios import Supervised

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)


def with_mode(x, is_training):
    return hk.Linear(2)(x) + 100.0 * is_training


def without_mode(x):
    return hk.Linear(2)(x)


def counting(x, is_training):
    count = hk.get_state("count", (), init=jnp.zeros)
    hk.set_state("count", count + 1)
    return hk.Linear(2)(x)


NETS = {
    "transformed": hk.transform(without_mode),
    "transformed, with a mode": hk.transform(with_mode),
    "with state": hk.transform_with_state(without_mode),
    "with state and a mode": hk.transform_with_state(with_mode),
    "without a key": hk.without_apply_rng(hk.transform(without_mode)),
    "with state, without a key": hk.without_apply_rng(hk.transform_with_state(with_mode)),
    "a pair": (lambda key, x: {"w": jnp.ones((3, 2))}, lambda params, x: x @ params["w"]),
    "a pair with a key": (lambda key, x: {"w": jnp.ones((3, 2))}, lambda params, key, x: x @ params["w"]),
    "a pair with a mode": (
        lambda key, x: {"w": jnp.ones((3, 2))},
        lambda params, x, is_training: x @ params["w"] + 100.0 * is_training,
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_net_is_called_in_one_way(name):
    net = NETS[name]
    state = create(net, optax.sgd(0.1), KEY, X[:1])
    assert isinstance(state, TrainState)
    trained, _ = call(net, state, KEY, X, is_training=True)
    evaluated, kept = call(net, state, None, X, is_training=False)
    assert evaluated.shape == (40, 2)
    assert kept is state.net_state
    assert np.allclose(
        trained - evaluated, 100.0 if "mode" in name or name.startswith("with state, ") else 0.0, atol=1e-4
    )


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_net_trains_with_a_plain_optax_optimizer(name):
    source = Arrays({"x": X, "y": np.int32(X[:, 0] > 0)}, 8)
    loss = optax.losses.softmax_cross_entropy_with_integer_labels
    state = Loop(steps=3).run(Supervised(NETS[name], optax.adam(1e-2), loss), source, key=KEY)
    assert int(state.net.opt_state[0].count) == 3


def test_a_nets_own_state_changes_in_training_only():
    net = hk.transform_with_state(counting)
    state = create(net, optax.sgd(0.1), KEY, X[:1])
    _, after = call(net, state, KEY, X, is_training=True)
    _, same = call(net, state, KEY, X, is_training=False)
    assert after["~"]["count"] == state.net_state["~"]["count"] + 1
    assert same is state.net_state


def test_gradients_move_parameters_by_the_optimizers_update():
    state = TrainState({"w": jnp.ones(2)}, {}, optax.sgd(0.5).init({"w": jnp.ones(2)}))
    moved = apply_gradients(optax.sgd(0.5), state, {"w": jnp.array([1.0, 2.0])}, {})
    np.testing.assert_allclose(moved.params["w"], [0.5, 0.0])
