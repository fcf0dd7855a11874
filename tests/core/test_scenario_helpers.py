"""The helpers that scenarios share."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner.core import Spec, TrainState, create, forward, infer, split_batches, update, update_jointly
from runner.losses import wasserstein
from runner.scenarios import GAN

KEY = jax.random.key(0)
X = jnp.ones((4, 3))


def counting(x, is_training):
    count = hk.get_state("count", (), init=jnp.zeros)
    hk.set_state("count", count + 1)
    return hk.Linear(2)(x) + 100.0 * is_training


NET = hk.transform_with_state(counting)


def scalar(value: float, optimizer) -> TrainState:
    params = {"w": jnp.float32(value)}
    return TrainState(params, {"calls": jnp.int32(0)}, optimizer.init(params))


def test_a_forward_pass_in_training_mode_returns_the_net_with_its_new_state():
    net = create(NET, optax.sgd(0.1), KEY, X)
    outputs, after = forward(NET, net, KEY, X)
    np.testing.assert_allclose(outputs - infer(NET, net, X), 100.0, rtol=1e-5)
    assert after.net_state["~"]["count"] == net.net_state["~"]["count"] + 1
    assert after.params is net.params
    assert after.opt_state is net.opt_state


def test_a_forward_pass_in_evaluation_mode_leaves_the_net_as_it_is():
    net = create(NET, optax.sgd(0.1), KEY, X)
    outputs, after = forward(NET, net, KEY, X, is_training=False)
    np.testing.assert_array_equal(outputs, infer(NET, net, X))
    assert after.net_state is net.net_state


def test_an_update_follows_the_gradient_and_keeps_the_state_after_the_forward_pass():
    optimizer = optax.sgd(0.1)

    def loss(net):
        after = net._replace(net_state={"calls": net.net_state["calls"] + 1})
        value = net.params["w"] ** 2
        return value, (after, {"loss": value})

    net, metrics = update(optimizer, scalar(3.0, optimizer), loss)
    np.testing.assert_allclose(net.params["w"], 3.0 - 0.1 * 6.0, rtol=1e-6)
    assert net.net_state["calls"] == 1
    assert metrics == {"loss": 9.0}


def test_a_joint_update_takes_all_gradients_before_any_net_moves():
    optimizer = optax.adam(0.1)

    def loss(one, other):
        value = one.params["w"] * other.params["w"]
        return value, ((one, other), {"loss": value})

    nets = scalar(2.0, optimizer), scalar(5.0, optimizer)
    updated, metrics = update_jointly(optimizer, nets, loss)
    assert [float(net.opt_state[0].mu["w"]) for net in updated] == pytest.approx([0.1 * 5.0, 0.1 * 2.0])
    assert [int(net.opt_state[0].count) for net in updated] == [1, 1]
    assert metrics == {"loss": 10.0}


def test_a_step_with_several_batches_splits_them_along_the_first_axis():
    batch = {"x": jnp.arange(12).reshape(2, 3, 2), "y": jnp.arange(6).reshape(2, 3)}
    first, second = split_batches(batch, 2)
    assert first["x"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert second["y"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": np.zeros((16, 2))}, r"^x: shape \(16, 2\) .* expected \(3, B, ...\)$"),
        ({"x": np.zeros((2, 16, 2))}, r"^x: shape \(2, 16, 2\) .* expected \(3, B, ...\)$"),
        ({"x": np.zeros((3, 16, 2)), "y": np.zeros(3)}, r"^y: shape \(3,\) .* expected \(3, B, ...\)$"),
    ],
    ids=["no leading axis", "another count of batches", "labels without a batch axis"],
)
def test_arrays_without_the_axis_of_the_batches_are_rejected_with_both_shapes(batch, message):
    with pytest.raises(ValueError, match=message):
        split_batches(batch, 3)


@pytest.mark.parametrize(
    ("critic_steps", "message"),
    [
        (1, r"^x: shape \(16, 2\) .* expected \(1, B, ...\)"),
        (3, r"^x: shape \(16, 2\) .* expected \(3, B, ...\)"),
        (16, r"^x: examples have shape \(\), those of the generator \(2,\): needs \(critic_steps, B, ...\)"),
    ],
)
def test_a_gan_rejects_a_batch_without_its_leading_axis(critic_steps, message):
    generator = (lambda key, z: {"w": jnp.ones((2, 2))}, lambda params, z: z @ params["w"])
    discriminator = (lambda key, x: {"w": jnp.ones(2)}, lambda params, x: x @ params["w"])
    gan = GAN(
        generator, discriminator, optax.sgd(0.1), optax.sgd(0.1), wasserstein, 2, critic_steps=critic_steps
    )
    x = np.zeros((16, 2), np.float32)
    state = gan.init(KEY, Spec.of({"x": x}))
    with pytest.raises(ValueError, match=message):
        jax.jit(gan.step)(KEY, state, {"x": x})
