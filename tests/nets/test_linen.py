import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.core import apply_gradients, call, create
from runner.nets import from_linen

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
OPTIMIZER = optax.adam(1e-2)


class Trained(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(nn.relu(x)))


class Averaged(nn.Module):
    @nn.compact
    def __call__(self, x, use_running_average: bool):
        return nn.Dense(1)(nn.BatchNorm(use_running_average=use_running_average)(x))


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic: bool):
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=deterministic)(x))


class Plain(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)


@pytest.mark.parametrize(
    ("module", "evaluation"),
    [
        (Trained(), {"train": False}),
        (Averaged(), {"use_running_average": True}),
        (Dropped(), {"deterministic": True}),
        (Plain(), {}),
        (nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(1)]), {}),  # cannot be hashed
    ],
    ids=lambda value: type(value).__name__,
)
def test_after_training_its_outputs_are_the_librarys_own(module, evaluation):
    net = from_linen(module)

    @jax.jit
    def step(key, state):
        def loss(params):
            outputs, net_state = call(net, state._replace(params=params), key, X, is_training=True)
            return jnp.square(outputs - X.sum(1, keepdims=True)).mean(), net_state

        grads, net_state = jax.grad(loss, has_aux=True)(state.params)
        return apply_gradients(OPTIMIZER, state, grads, net_state)

    first = state = create(net, OPTIMIZER, jax.random.key(0), X)
    for number in range(5):
        state = step(jax.random.key(number), state)
    outputs, net_state = call(net, state, None, X, is_training=False)
    expected = module.apply({"params": state.params, **state.net_state}, X, **evaluation)
    assert np.array_equal(outputs, expected)
    assert net_state is state.net_state
    moved = jax.tree.leaves(
        jax.tree.map(lambda a, b: not np.array_equal(a, b), first.net_state, state.net_state)
    )
    assert all(moved)
    assert bool(moved) == isinstance(module, (Trained, Averaged))


def test_dropout_draws_from_the_key_of_the_step():
    net = from_linen(Trained())
    state = create(net, OPTIMIZER, jax.random.key(0), X)
    one, other = (call(net, state, jax.random.key(n), X, is_training=True)[0] for n in (1, 2))
    assert not np.allclose(one, other)


def test_equal_modules_are_one_net_so_that_runs_share_what_is_compiled():
    assert from_linen(Trained()) is from_linen(Trained())
