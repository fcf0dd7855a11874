import copy
import json
import subprocess
import sys

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from runner.compose.build import build, follow, make
from runner.compose.checks import complete
from runner.compose.choices import opened
from runner.compose.command_line import change, checked, compose
from runner.errors import ConfigError
from runner.storage.differences import differences


def test_nothing_given_is_the_default_run_with_every_setting_of_its_parts():
    config = compose([])
    assert config["scenario"]["_target_"] == "runner.scenarios.Supervised"
    assert config["scenario"]["net"] == "@net"
    assert config["optimizer"]["horizon"] == 2000.0
    assert "hydra" not in config
    json.dumps(config)


def test_a_setting_of_a_part_reaches_every_slot_that_follows_it():
    scenario = follow(
        compose(["scenario=gan", "net.hidden_sizes=[7]", "optimizer.b2=0.9"])["scenario"],
        compose(["scenario=gan", "net.hidden_sizes=[7]", "optimizer.b2=0.9"]),
    )
    assert scenario["generator"]["hidden_sizes"] == scenario["discriminator"]["hidden_sizes"] == [7]
    assert scenario["generator_optimizer"]["b2"] == scenario["discriminator_optimizer"]["b2"] == 0.9


def test_a_slots_own_part_replaces_it_whole_and_the_others_follow_on():
    own = ["scenario=gan", "net=cnn", "net@scenario.generator=mlp", "scenario.generator.hidden_sizes=[9]"]
    scenario = compose(own)["scenario"]
    assert scenario["generator"]["_target_"] == "runner.nets.mlp"
    assert scenario["generator"]["hidden_sizes"] == [9]
    assert "channels" not in scenario["generator"]
    assert scenario["discriminator"] == "@net"


def test_one_optimizer_may_have_its_own_schedule():
    config = compose(["schedule@optimizer.schedule=exponential", "optimizer.schedule.final=0.5"])
    assert config["optimizer"]["schedule"] == {"_target_": "runner.schedules.Exponential", "final": 0.5}
    slots = compose(
        ["scenario=gan", "optimizer@scenario.generator_optimizer=lion", "optimizer.learning_rate=0.5"]
    )
    assert slots["scenario"]["generator_optimizer"]["_target_"] == "runner.optimizers.lion"
    assert slots["scenario"]["generator_optimizer"]["learning_rate"] == 1e-4


def test_an_experiment_chooses_parts_and_slots_and_the_command_line_beats_it(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /scenario: gan\n  - override /loss: hinge\n"
        "  - override /net@scenario.generator: cnn\nsteps: 77\nscenario: {latent_size: 3}\n"
    )
    config = compose(["experiment=mine", "scenario.latent_size=5"], [str(tmp_path)])
    assert config["scenario"]["generator"]["_target_"] == "runner.nets.cnn"
    assert config["loss"]["_target_"] == "runner.losses.hinge"
    assert (config["steps"], config["loop"]["steps"], config["scenario"]["latent_size"]) == (77, 77, 5)
    assert compose(["experiment=mine", "steps=5"], [str(tmp_path)])["steps"] == 5


def test_any_optax_constructor_may_be_named_and_is_taken_as_it_is(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "lamb.yaml").write_text("_target_: optax.lamb\nlearning_rate: 1\n")
    config = compose(["optimizer=lamb", "+optimizer.weight_decay=0.1", "dataset=iris"], [str(tmp_path)])
    assert config["optimizer"] == {"_target_": "optax.lamb", "learning_rate": 1, "weight_decay": 0.1}
    assert hasattr(build(config).scenario.optimizer, "update")


def test_whole_numbers_become_floats_where_a_part_takes_a_number():
    config = compose(["optimizer.learning_rate=1", "steps=30"])
    assert type(config["optimizer"]["learning_rate"]) is float
    assert type(config["optimizer"]["horizon"]) is float
    assert type(config["steps"]) is int


def test_equal_parts_are_built_into_equal_or_identical_objects():
    one, other = (build(compose(["scenario=gan", "loss=hinge", f"seed={seed}"])).scenario for seed in (0, 1))
    assert one == other
    assert one.generator is other.generator
    huber = [make(compose(["scenario=regression", "loss=huber", f"seed={seed}"]), "loss") for seed in (0, 1)]
    assert huber[0] is huber[1]


def test_nets_and_optimizers_are_fitted_to_what_the_scenario_says():
    scenario = build(compose(["scenario=gan", "scenario.critic_steps=3"])).scenario
    assert scenario.discriminator_optimizer.updates_per_step == 3
    assert scenario.generator_optimizer.updates_per_step == 1


def test_a_saved_configuration_changes_only_where_it_is_free():
    config = compose([])
    changed = change(config, ["steps=7", "loop.log_every=3"], ["steps", "loop.log_every"])
    assert (changed["steps"], changed["loop"]["steps"], changed["loop"]["log_every"]) == (7, 7, 3)
    assert config["steps"] == 2000
    with pytest.raises(ConfigError, match=r"seed: a resumed run can change .*, say allow=seed too"):
        change(config, ["seed=3"], ["steps"])
    with pytest.raises(ConfigError, match="steps: 'x' is not a whole number"):
        change(config, ["steps=x"], ["steps"])


def test_a_command_is_checked_without_jax():
    words = "from runner.compose.command_line import compose; compose(['scenario=gan'])"
    code = f"import sys; {words}; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=3", "hydra.run.dir=here"],
        ["scenario=gan", "net@scenario.generator=mlp", "scenario.generator.hidden_sizes=[7]", "steps=5"],
        [
            "schedule=cosine",
            "optimizer.b1=0.5",
            "hydra.job.config.override_dirname.exclude_keys=[seed]",
            "seed=1",
        ],
    ],
)
def test_what_is_composed_is_what_hydra_composes(overrides):
    with opened([]) as hydra:
        _, whole = checked(overrides, hydra.config_loader, {})
        asked = hydra.config_loader.load_configuration("config", overrides, RunMode.RUN)
    assert OmegaConf.to_container(whole) == OmegaConf.to_container(asked)


def test_a_saved_configuration_that_lacks_a_setting_of_the_run_takes_the_behaviour_of_before():
    config = compose([])
    saved = {key: value for key, value in config.items() if key not in ("watch", "figures", "one_batch")}
    assert complete(saved) == config
    assert complete(config | {"watch": ["net"]})["watch"] == ["net"]


def test_a_setting_that_a_part_of_before_lacks_counts_as_its_python_default():
    config = compose(["dataset=csv", "dataset.path=data.csv", "dataset.target=y"])
    saved = copy.deepcopy(config)
    del saved["net"]["dropout"], saved["loop"]["check_state"], saved["watch"]
    assert list(differences(saved, config)) == []
    config["net"]["dropout"] = 0.5
    assert [key for key, _ in differences(saved, config)] == ["net.dropout"]


def test_paths_are_compared_after_resolving_both(tmp_path):
    relative, absolute = (
        compose(["dataset=csv", f"dataset.path={path}", "dataset.target=y"])
        for path in ("a.csv", tmp_path / "a.csv")
    )
    assert list(differences(relative, absolute)) == []
    other = compose(["dataset=csv", "dataset.path=b.csv", "dataset.target=y"])
    assert [key for key, _ in differences(relative, other)] == ["dataset.path"]
