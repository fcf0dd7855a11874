import yaml

from runner.compose import build, signatures, trust
from runner.compose.command_line import compose
from runner.compose.renamed import RENAMED, with_current_names


def test_a_part_that_moved_is_renamed_at_any_depth_and_all_else_stays():
    old = {"evaluation": [{"_target_": "runner.run.features", "run": "runner.run.features"}], "steps": 4}
    assert with_current_names(old) == {
        "evaluation": [{"_target_": "runner.runs.features", "run": "runner.run.features"}],
        "steps": 4,
    }


def test_every_name_of_the_table_leads_to_an_installed_part():
    for old, new in RENAMED.items():
        assert signatures.signature(old) == signatures.signature(new) is not None
        assert callable(build._locate(new, "part"))
        assert new in trust.installed()
        assert old not in trust.installed()


def test_a_saved_configuration_is_read_and_screened_under_present_names(tmp_path):
    config = compose(["scenario=gan", "evaluation=features", "evaluation.features.run=run"])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config).replace("runner.runs.features", "runner.run.features"))
    assert "runner.run.features" in path.read_text()
    assert trust.read_plain(path) == config
    trust.refuse_code(trust.read_plain(path))


def test_a_command_may_still_use_an_earlier_name():
    words = ["scenario=gan", "evaluation=features", "evaluation.features.run=run"]
    assert compose([*words, "evaluation.features._target_=runner.run.features"]) == compose(words)
