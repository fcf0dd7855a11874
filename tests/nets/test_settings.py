import inspect

import jax
import jax.numpy as jnp
import pytest

from runner.nets import cnn, image_discriminator, image_generator, linear, mlp, resnet
from runner.nets.settings import ACTIVATIONS, INITIALIZERS, cached


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (mlp, {"hidden_sizes": [0]}, "hidden_sizes: 0 is less than 1"),
        (mlp, {"hidden_sizes": (8, 2.5)}, "hidden_sizes: 2.5 is not a whole number"),
        (mlp, {"hidden_sizes": 64}, r"hidden_sizes: 64 is not a list, such as \[64\]"),
        (mlp, {"dropout": 1.5}, r"dropout: 1.5 is not in \[0, 1\)"),
        (mlp, {"dropout": 1.0}, "dropout: 1.0"),
        (mlp, {"dropout": -0.1}, "dropout: -0.1"),
        (mlp, {"activation": "rleu"}, "activation: 'rleu' is unknown; did you mean relu"),
        (mlp, {"activation": None}, "activation: None is unknown"),
        (
            mlp,
            {"output_activation": "sigmod"},
            "output_activation: 'sigmod' is unknown; did you mean sigmoid",
        ),
        (mlp, {"normalization": "group"}, "normalization: 'group' is unknown; known are null, batch, layer"),
        (
            mlp,
            {"initializer": "xavier"},
            "initializer: 'xavier' is unknown; known are null, glorot, he, normal",
        ),
        (linear, {"initializer": "norml"}, "initializer: 'norml' is unknown; did you mean normal"),
        (linear, {"output_shape": (0,)}, "output_shape: 0 is less than 1"),
        (cnn, {"channels": (8, -1)}, "channels: -1 is less than 1"),
        (cnn, {"kernel_size": 0}, "kernel_size: 0 is less than 1"),
        (cnn, {"hidden_sizes": (0,)}, "hidden_sizes: 0 is less than 1"),
        (cnn, {"dropout": 2.0}, "dropout: 2.0"),
        (resnet, {"channels": ()}, r"channels: \[\] has fewer than 1 entries"),
        (resnet, {"blocks": 0}, "blocks: 0 is less than 1"),
        (image_generator, {"channels": []}, r"channels: \[\] has fewer than 1 entries"),
        (image_generator, {"output_activation": "softmax"}, "output_activation: 'softmax' is unknown"),
        (image_discriminator, {"normalization": "spectral"}, "normalization: 'spectral' is unknown"),
    ],
)
def test_a_bad_setting_is_refused_before_anything_is_traced(make, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make(**{"output_shape": (8, 8, 1), **settings})


def test_equal_settings_give_the_identical_net():
    assert mlp((10,)) is mlp([10], hidden_sizes=[128, 128], activation="relu") is mlp((10,), (128, 128))
    assert mlp((10,)) is not mlp((10,), activation="gelu")
    assert cnn((10,)) is not mlp((10,))


def test_a_cached_net_function_keeps_its_signature():
    def net(output_shape, size: int = 3):
        return object()

    assert inspect.signature(cached(net)) == inspect.signature(net)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        cached(net)((1,), sise=4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_makes_a_net(activation):
    assert mlp((), activation=activation, output_activation=activation)


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [
        (None, 0.88 / 20),  # 0.88 is left by a cut at two deviations
        ("glorot", (2 / 500) ** 0.5),
        ("he", 2**0.5 / 20),
        ("normal", 1.0),
        ("orthogonal", 1 / 20),
        ("truncated_normal", 0.88),
    ],
)
def test_initial_weights_spread_as_their_initializer_says(initializer, deviation):
    net = linear((100,), initializer)
    params, _ = jax.jit(lambda key: net.init(key, jnp.zeros((1, 400)), is_training=True))(jax.random.key(0))
    assert params["output"]["w"].std() == pytest.approx(deviation, rel=0.02)
    assert not params["output"]["b"].any()
    assert {None, "glorot", "he", "normal", "orthogonal", "truncated_normal"} == INITIALIZERS.keys()
