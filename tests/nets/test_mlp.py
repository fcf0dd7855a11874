import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.nets import mlp


def first_params(net, x):
    params, _ = jax.jit(functools.partial(net.init, is_training=True))(jax.random.key(0), x)
    return params


def test_a_small_net_computes_what_is_worked_out_by_hand():
    net = mlp((), hidden_sizes=(2,), output_activation="sigmoid")
    params = {
        "linear": {"w": jnp.array([[1.0, -1.0], [2.0, 0.5]]), "b": jnp.array([0.0, 1.0])},
        "output": {"w": jnp.array([[3.0], [-2.0]]), "b": jnp.array([0.5])},
    }
    outputs, _ = net.apply(params, {}, None, jnp.array([[1.0, 1.0], [-4.0, 1.0]]), is_training=False)
    # hidden: relu([3, 0.5]) and relu([-2, 5.5]); logits 9 - 1 + 0.5 and 0 - 11 + 0.5
    np.testing.assert_allclose(outputs, 1 / (1 + np.exp([-8.5, 10.5])), rtol=1e-5)


def test_without_hidden_layers_it_is_linear():
    x = jnp.ones((2, 3, 4))
    assert jax.tree.map(jnp.shape, first_params(mlp((5,), ()), x)) == {"output": {"w": (12, 5), "b": (5,)}}


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    net = mlp((), (2048,), dropout=0.25)
    params = {
        "linear": {"w": jnp.ones((1, 2048)), "b": jnp.zeros(2048)},
        "output": {"w": jnp.ones((2048, 1)) / 2048, "b": jnp.zeros(1)},
    }
    outputs, _ = net.apply(params, {}, jax.random.key(0), jnp.ones((64, 1)), is_training=True)
    assert abs(outputs.mean() - 1) < 0.01
    assert 0.5 < outputs.std() / np.sqrt(0.25 / 0.75 / 2048) < 1.5


@pytest.mark.slow
def test_standard_normal_weights_let_a_sigmoid_net_learn_a_parabola():
    x = jnp.linspace(-1, 1, 128)[:, None]
    optimizer = optax.sgd(0.003)

    def final_loss(initializer):
        net = mlp((1,), (128, 128), "sigmoid", initializer=initializer)
        params = first_params(net, x)

        def loss(params):
            return optax.losses.squared_error(
                net.apply(params, {}, None, x, is_training=True)[0], x**2
            ).mean()

        def step(_, carry):
            params, opt_state = carry
            updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state)
            return optax.apply_updates(params, updates), opt_state

        params, _ = jax.lax.fori_loop(0, 2000, step, (params, optimizer.init(params)))
        return loss(params)

    assert final_loss("normal") < 0.005 < 0.05 < final_loss(None)
