"""Choices that are dotted names, without a YAML file."""

import pytest

from runner import open_run
from runner.cli import main
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.errors import ConfigError


def test_an_optimizer_has_its_own_settings_and_those_of_all_optimizers():
    optimizer = compose(["optimizer=optax.lamb", "optimizer.learning_rate=1e-3", "schedule=cosine"])[
        "optimizer"
    ]
    assert optimizer["make"] == {"_target_": "optax.lamb", "_partial_": True}
    assert (optimizer["learning_rate"], optimizer["b1"], optimizer["eps"]) == (1e-3, 0.9, 1e-6)
    assert (optimizer["schedule"], optimizer["horizon"], optimizer["clip"]) == ("@schedule", 2000.0, None)


def test_a_net_a_loss_and_a_scenario_are_named_by_their_functions_and_classes():
    words = ["dataset=iris", "net=haiku.nets.MLP", "net.output_sizes=[64,3]", "net.activation=jax.nn.tanh"]
    net = compose(words)["net"]
    assert net["_target_"] == "haiku.nets.MLP"
    assert net["_partial_"] is True
    assert (net["output_sizes"], net["with_bias"]) == ([64, 3], True)
    assert net["activation"] == {"_target_": "jax.nn.tanh", "_partial_": True}
    config = compose(["scenario=regression", "loss=optax.losses.huber_loss", "dataset=diabetes"])
    assert config["loss"] == {"_target_": "optax.losses.huber_loss", "_partial_": True, "delta": 1.0}
    own = compose(["scenario=runner.scenarios.Supervised"])["scenario"]
    assert own == compose([])["scenario"]


def test_a_slot_takes_a_name_of_its_own():
    words = ["scenario=gan", "net@scenario.generator=haiku.nets.MLP", "scenario.generator.output_sizes=[8,2]"]
    scenario = compose(words)["scenario"]
    assert scenario["generator"]["_target_"] == "haiku.nets.MLP"
    assert scenario["discriminator"] == "@net"


def test_an_option_that_may_be_anything_takes_a_mapping():
    words = ["dataset=iris", "net=linear", "optimizer=optax.adamw", "optimizer.learning_rate=1e-3"]
    config = compose([*words, "optimizer.mask={linear:{w:true,b:false}}"])
    assert config["optimizer"]["mask"] == {"linear": {"w": True, "b": False}}
    build(config)
    with pytest.raises(ConfigError, match=r"^optimizer\.b1 names no part"):
        compose([*words, "optimizer.b1={a:1}"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("optimizer=optax.lamb", "optimizer.learning_rate is missing: say optimizer.learning_rate="),
        ("optimizer=optax.lam", "optimizer: there is no optax.lam; did you mean lamb"),
        ("optimizer=nowhere.lamb", "optimizer: there is no nowhere.lamb"),
        (
            "optimizer=optax.sgd optimizer.momentun=1",
            "unknown setting optimizer.momentun; did you mean momentum",
        ),
        ("net=haiku.nets.MLP", "net.output_sizes is missing"),
        ("net=haiku.nets.MLP net.output_sizes=3", "net.output_sizes: 3 is not a list"),
        (
            "net=haiku.nets.MLP net.output_sizes=[3] net.activation=relu",
            "net.activation: 'relu' is not the dotted name of a function",
        ),
        (
            "net=haiku.nets.MLP net.output_sizes=[3] net.activation=jax.nn.sigmoyd",
            "net.activation: there is no jax.nn.sigmoyd; did you mean sigmoid",
        ),
        ("optimizer.groups=3", "optimizer.groups: 3 is not a mapping"),
        ("optimizer.groups={b: {_x: 1}}", "optimizer.groups.b._x: a key cannot begin with _"),
    ],
)
def test_what_does_not_fit_is_one_line(words, message):
    words = words.replace("{b: {", "{b:{").split(" ") if "{" not in words else [words]
    with pytest.raises(ConfigError) as refused:
        compose(words)
    assert message in str(refused.value)


def test_a_new_target_takes_of_the_settings_of_the_old_one_what_it_knows():
    optimizer = compose(["optimizer._target_=optax.adabelief", "optimizer.b1=0.8"])["optimizer"]
    assert optimizer == {
        "_target_": "optax.adabelief",
        "learning_rate": 1e-3,
        "b1": 0.8,
        "b2": 0.999,
        "eps": 1e-8,
    }
    net = compose(["net._target_=haiku.nets.MLP", "net.output_sizes=[64,10]"])["net"]
    assert net == {"_target_": "haiku.nets.MLP", "_partial_": True, "output_sizes": [64, 10]}
    with pytest.raises(ConfigError, match=r"optimizer\.clip: adabelief has no such setting"):
        compose(["optimizer._target_=optax.adabelief", "optimizer.clip=1"])


@pytest.mark.parametrize(
    "words",
    [
        ["schedule=cosine", "optimizer._target_=optax.adafactor"],
        ["scenario=ode_gan", "optimizer.learning_rate=0.1"],
        ["scenario=ode_gan", "schedule=cosine"],
        ["scenario=ppo", "loss=huber"],
    ],
)
def test_a_setting_of_a_part_that_nothing_uses_is_refused(words):
    with pytest.raises(ConfigError, match="has no effect, because no other part here follows"):
        compose(words)


def test_a_run_of_names_is_plain_and_trusted_and_an_error_names_the_part(tmp_path, capsys):
    words = [*("dataset=iris", "net=haiku.nets.MLP", "figures=false", "hydra.run.dir=run", "steps=1")]
    own = [*("optimizer=optax.lamb", "optimizer.learning_rate=1e-3", "net.activation=jax.nn.tanh")]
    with pytest.raises(SystemExit):
        main([*words, *own, "net.output_sizes=[4]"])
    assert "error: net: returns [B, 4], and [B, 3] is needed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    main([*words, *own, "net.output_sizes=[3]"])
    assert open_run("run").info.step == 1  # without trust_code
