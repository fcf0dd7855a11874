import pytest

from runner.cli import main
from runner.compose.choices import parts
from runner.compose.command_line import compose
from runner.errors import ConfigError

OPTIMIZERS = {"adam", "adamw", "lion", "rmsprop", "sgd"}


def test_parts_are_listed_with_inherited_settings(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("defaults: [adam, _self_]\nb1: 0.4\n")
    listed = parts([str(tmp_path)])
    assert listed["optimizer"]["mine"]["settings"]["b1"] == 0.4
    assert listed["optimizer"]["mine"]["settings"]["learning_rate"] == 1e-3
    assert listed["net"]["mlp"]["about"].startswith("Builds a multi-layer perceptron")
    assert "hydra" not in listed


def test_settings_of_one_scenario_or_of_a_test_are_not_listed_but_can_be_chosen():
    assert set(parts()["optimizer"]) == OPTIMIZERS
    assert set(parts()["debug"]) == {"nan", "one_step", "overfit"}
    assert compose(["optimizer=adam_gan"])["optimizer"]["b1"] == 0.5
    assert compose(["optimizer=adam_ppo"])["optimizer"]["learning_rate"] == 2.5e-3
    assert compose(["optimizer=adamw_regression"])["optimizer"]["weight_decay"] == 10.0
    assert compose(["optimizer=adamw_transformer"])["optimizer"]["clip"] == 1.0
    assert compose(["scenario=gan", "debug=laws_gan"])["scenario"]["critic_steps"] == 2


@pytest.mark.parametrize(
    "group", ["scenario", "net", "optimizer", "schedule", "dataset", "evaluation", "experiment"]
)
def test_every_choice_of_every_group_composes(group):
    path, make = ["dataset.path=x"], ["dataset.make=json.loads"]
    files = ("hf", "hf_streaming", "image_folder", "image_table", "memmap", "mnist", "npz", "text")
    needed = dict.fromkeys(files, path) | dict.fromkeys(("grain", "stream", "torch"), make)
    needed["webdataset"] = [*path, "dataset.validation_path=x", "dataset.test_path=x"]
    needed["tfds"] = ["dataset.name=mnist"]
    needed |= {name: [*path, "dataset.target=y"] for name in ("csv", "parquet")}
    needed |= {"features": ["evaluation.features.run=x"]}
    for name in parts()[group]:
        compose([f"{group}={name}", *needed.get(name, [])])


def test_the_help_lists_the_same_choices_as_parts(capsys):
    main(["--help"])
    shown = capsys.readouterr().out.splitlines()
    for group, choices in parts().items():
        assert f"{group}: {', '.join(choices)}" in shown


def test_completion_offers_the_same_choices_as_parts(capsys, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "runner optimizer=")
    monkeypatch.setenv("COMP_POINT", "17")
    main(["-sc", "query=bash"])
    assert set(capsys.readouterr().out.split()) == {f"optimizer={name}" for name in OPTIMIZERS}


@pytest.mark.parametrize("choice", ["adam_gam", "nope", "3"])
def test_a_message_about_an_unknown_choice_names_only_listed_ones(choice):
    with pytest.raises(ConfigError) as refused:
        compose([f"optimizer={choice}"])
    message = str(refused.value)
    assert message.endswith("known: adam, adamw, lion, rmsprop, sgd")
    assert "adam_" not in message.removeprefix(f"unknown optimizer {choice}")


def test_a_message_about_an_unknown_choice_in_a_file_names_only_listed_ones(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /optimizer: nope\n"
    )
    with pytest.raises(ConfigError, match="optimizer/nope") as refused:
        compose(["experiment=mine"], [str(tmp_path)])
    assert "adamw" in str(refused.value)
    assert "adam_gan" not in str(refused.value)


def test_a_file_in_a_folder_of_ones_own_can_be_unlisted(tmp_path):
    (tmp_path / "net").mkdir()
    for name, header in (("shown", ""), ("hidden", "# @listed false\n")):
        (tmp_path / "net" / f"{name}.yaml").write_text(
            f"{header}defaults: [mlp, _self_]\nhidden_sizes: [7]\n"
        )
    folders = [str(tmp_path)]
    assert "shown" in parts(folders)["net"]
    assert "hidden" not in parts(folders)["net"]
    assert compose(["net=hidden"], folders)["net"]["hidden_sizes"] == [7]
