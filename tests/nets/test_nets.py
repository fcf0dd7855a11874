"""What holds for every net."""

import functools
import inspect
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import runner.nets
from runner.nets import cnn, image_discriminator, image_generator, linear, mlp, resnet

CONFIGS = sorted(pathlib.Path(runner.nets.__file__).parents[1].glob("conf/net/*.yaml"))
IMAGE = (8, 8, 1)
NETS = {  # net function, settings, shape of one input
    "linear": (linear, {}, IMAGE),
    "mlp": (mlp, {}, (4,)),
    "mlp of numbers": (mlp, {"hidden_sizes": (8,)}, ()),
    "mlp with batch": (mlp, {"normalization": "batch", "dropout": 0.5}, IMAGE),
    "mlp with layer": (mlp, {"normalization": "layer", "initializer": "orthogonal"}, IMAGE),
    "cnn": (cnn, {"channels": (4,), "hidden_sizes": (16,)}, (28, 28, 1)),
    "cnn with batch": (cnn, {"channels": (4, 8, 8), "normalization": "batch", "dropout": 0.5}, (9, 13, 3)),
    "resnet": (resnet, {"channels": (4, 8)}, IMAGE),
    "resnet in colours": (resnet, {"channels": (4, 8), "blocks": 2}, (32, 32, 3)),
    "image_discriminator": (image_discriminator, {"channels": (4, 8)}, IMAGE),
    "image_discriminator with layer": (
        image_discriminator,
        {"channels": (4,), "normalization": "layer"},
        (28, 28, 1),
    ),
}
GENERATORS = {"image_generator": (image_generator, {"channels": (8, 4)}, (16,))}
TRAINED = [
    "mlp with batch",
    "mlp with layer",
    "cnn with batch",
    "resnet",
    "image_discriminator",
    "image_generator",
]
STOCHASTIC = ["mlp with batch", "cnn with batch"]
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # quickly


@pytest.fixture
def build(init, normal):
    def build(name):
        make, settings, input_shape = (NETS | GENERATORS)[name]
        net = make(IMAGE if name in GENERATORS else (10,), **settings)
        x = normal(6, *input_shape)
        return net, *init(net, x), x

    return build


@pytest.mark.parametrize("output_shape", [(10,), (), (8, 8, 1)])
@pytest.mark.parametrize("name", NETS)
def test_outputs_have_the_shape_asked_for(name, output_shape):
    make, settings, input_shape = NETS[name]
    net, x = make(output_shape, **settings), jnp.zeros((6, *input_shape))

    def run(key):
        return net.apply(*net.init(key, x, is_training=True), key, x, is_training=True)[0]

    out = jax.eval_shape(run, jax.random.key(0))
    assert (out.shape, out.dtype) == ((6, *output_shape), jnp.float32)


@pytest.mark.parametrize("name", TRAINED)
def test_evaluation_needs_no_key_changes_no_state_and_treats_each_example_by_itself(name, build):
    net, params, state, x = build(name)
    evaluate = compiled(functools.partial(net.apply, is_training=False))
    outputs, state_after = evaluate(params, state, None, x)
    beside_others, _ = evaluate(params, state, None, np.concatenate([x[:3], 10 * x[3:]]))
    assert jnp.allclose(outputs[:3], beside_others[:3], atol=1e-5)
    assert jnp.array_equal(outputs, evaluate(params, state, None, x)[0])
    assert jnp.abs(outputs).max() < 100  # an untrained net, too
    assert all(
        jnp.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (state, state_after)), strict=True)
    )


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_are_finite_and_reach_every_parameter(name, build, normal):
    net, params, state, x = build(name)
    weights = normal(6, *(IMAGE if name in GENERATORS else (10,)))

    def loss(params):
        outputs, _ = net.apply(params, state, jax.random.key(2), x, is_training=True)
        return (outputs * weights).mean()

    grads = compiled(jax.grad(loss))(params)
    assert all(bool(jnp.isfinite(leaf).all() and (leaf != 0).any()) for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("name", STOCHASTIC)
def test_dropout_and_batch_norm_act_in_training_only(name, build):
    net, params, state, x = build(name)
    train = compiled(functools.partial(net.apply, is_training=True))
    one, state_after = train(params, state, jax.random.key(2), x)
    other, _ = train(params, state, jax.random.key(3), x)
    assert not jnp.allclose(one, other)
    assert not any(
        jnp.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (state, state_after)), strict=True)
    )


@pytest.mark.parametrize("name", ["cnn", "resnet", "image_discriminator", "image_generator"])
def test_no_native_convolution_remains_on_cpu(name, build):
    net, params, state, x = build(name)

    def loss(params):
        return net.apply(params, state, None, x, is_training=True)[0].sum()

    assert "conv_general_dilated" not in str(jax.make_jaxpr(jax.grad(loss))(params))


@pytest.mark.parametrize(
    ("net", "input_shape", "count"),
    [
        (linear((10,)), (8, 8, 1), 650),
        (mlp((10,)), (8, 8, 1), 26_122),
        (cnn((10,)), (28, 28, 1), 421_642),
        (resnet((10,), blocks=3), (32, 32, 3), 272_474),  # ResNet-20, 0.27 million
        (resnet((10,), channels=(64, 128, 256, 512), blocks=2), (32, 32, 3), 11_173_962),  # ResNet-18
    ],
)
def test_known_nets_have_their_known_count_of_parameters(net, input_shape, count):
    x = jnp.zeros((1, *input_shape))
    params, _ = jax.eval_shape(lambda key: net.init(key, x, is_training=True), jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("name", NETS)
def test_whole_numbers_are_taken_as_numbers(name):
    make, settings, input_shape = NETS[name]
    net = make((10,), **settings)
    x = jnp.ones((2, *input_shape), jnp.uint8)
    params, state = jax.eval_shape(lambda key: net.init(key, x, is_training=True), jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves((params, state))} == {jnp.dtype("float32")}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_config_lists_every_setting_with_its_default(path):
    config = yaml.safe_load(path.read_text())
    assert config.pop("_target_") == f"runner.nets.{path.stem}"
    assert config.pop("_partial_") is True
    _, *settings = inspect.signature(getattr(runner.nets, path.stem)).parameters.values()
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    assert values == {setting.name: setting.default for setting in settings}


def test_every_net_has_a_config():
    made_from_a_module = {"from_linen"}
    assert {path.stem for path in CONFIGS} == set(runner.nets.__all__) - made_from_a_module
