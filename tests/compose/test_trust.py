"""What a run that somebody else saved may name, where it is trusted, and where it is read."""

import shutil

import pytest
import yaml
from small_runs import COMMANDS

from runner import open_run
from runner.cli import main
from runner.compose import trust
from runner.compose.build import make
from runner.storage.run_directory import Directory


@pytest.fixture(scope="module")
def own(home):
    """A run with an optimizer of which runner's configurations say nothing."""
    (home / "conf/optimizer").mkdir(parents=True)
    (home / "conf/optimizer/lamb.yaml").write_text("_target_: optax._src.alias.lamb\nlearning_rate: 1e-3\n")
    words = ["--config-dir", str(home / "conf"), "optimizer=lamb", *COMMANDS["supervised"]]
    main([*words, f"hydra.run.dir={home / 'own'}"])
    return words, home / "own"


def test_code_runs_where_the_command_line_says_to_trust_it(own, tmp_path, capsys):
    shutil.copytree(own[1], tmp_path / "run")
    for words in (["evaluate", "run"], ["resume", "run", "steps=12"]):
        with pytest.raises(SystemExit):
            main(words)
        assert "optimizer._target_: 'optax._src.alias.lamb'" in capsys.readouterr().err
    main(["evaluate", "run", "trust_code=true"])
    main(["resume", "run", "steps=12", "trust_code=true"])
    assert open_run("run", trust_code=True).info.step == 12
    with pytest.raises(SystemExit):
        main(["evaluate", "run", "trust_code=yes"])
    assert "trust_code: 'yes' is not true or false" in capsys.readouterr().err


def test_the_same_command_goes_on_for_it_builds_what_it_names_itself(own, tmp_path, capsys):
    words, run = own
    shutil.copytree(run, tmp_path / "run")
    main([*words, "hydra.run.dir=run"])
    assert "already finished" in capsys.readouterr().out


def test_a_run_that_is_read_may_name_what_the_run_that_is_built_names(own):
    features = {"_target_": "runner.runs.features", "run": str(own[1])}
    config = {"evaluation": {"_target_": "runner.evaluators.Samples", "size": 8, "features": features}}
    with pytest.raises(
        ValueError, match=r"optimizer._target_: 'optax._src.alias.lamb' is not an installed part"
    ):
        make(config, "evaluation")
    named = {"optimizer": {"_target_": "optax._src.alias.lamb"}}
    assert make(config | named, "evaluation").features.shape == (4,)
    with pytest.raises(ValueError, match="not an installed part"):  # and not a moment longer
        trust.refuse_code(named)


def test_code_of_another_run_is_trusted_if_the_command_names_it_or_says_so(own, tmp_path, capsys):
    words, donor = own
    plain = [*COMMANDS["supervised"][:-1], f"init_from={donor}", "steps=1", "figures=false"]
    with pytest.raises(SystemExit):
        main([*plain, "hydra.run.dir=refused"])
    assert "say trust_code=true" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
    main([*plain, "trust_code=true", "hydra.run.dir=said"])
    main([*words[:2], *plain, "hydra.run.dir=named"])
    main(["-m", *words[:2], *plain, "seed=0,1", "hydra.sweep.dir=sweep"])
    for run in ("said", "named", "sweep/1"):
        assert "trust_code" not in Directory(run).config
        assert Directory(run).info.init_from["step"] == 9
    with pytest.raises(SystemExit):
        main([*plain, "trust_code=1"])
    assert "trust_code: '1' is not true or false" in capsys.readouterr().err


def test_features_of_a_run_of_ones_own_code_are_computed_where_it_is_trusted(own, runs, tmp_path):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    features = {"_target_": "runner.runs.features", "run": str(own[1])}
    config["evaluation"] = {"_target_": "runner.evaluators.Samples", "size": 8, "features": features}
    (tmp_path / "run/config.yaml").write_text(yaml.safe_dump(config))
    assert open_run("run", trust_code=True)._made("evaluation").features.shape == (4,)
    with pytest.raises(ValueError, match="trust_code=true"):
        open_run("run")._made("evaluation")


def test_what_an_installed_package_names_of_its_own_is_installed(tmp_path, monkeypatch):
    (tmp_path / "theirs/conf/net").mkdir(parents=True)
    (tmp_path / "theirs/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "theirs/conf/net/two.yaml").write_text(
        "_target_: theirs.two\nmore: [{_target_: os.system}]\n"
    )
    (tmp_path / "theirs-0.1.0.dist-info").mkdir()
    (tmp_path / "theirs-0.1.0.dist-info/entry_points.txt").write_text(
        "[runner.configs]\ntheirs = theirs.conf\n"
    )
    assert "theirs.two" not in trust.installed()
    monkeypatch.syspath_prepend(tmp_path)
    assert {"theirs.two", "runner.nets.mlp", "optax.losses.l2_loss"} <= trust.installed()
    assert not {"os.system", "theirs.other", "runner.cli.main"} & trust.installed()


def test_links_may_stay_where_the_run_is_trusted(home, tmp_path):
    shutil.copytree(home / "honest", tmp_path / "run")
    (tmp_path / "run/checkpoints").rename(tmp_path / "large")
    (tmp_path / "run/checkpoints").symlink_to(tmp_path / "large")
    main(["evaluate", "run", "trust_code=true"])
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(ValueError, match=r"run/checkpoints: is neither|link/checkpoints: is neither"):
        open_run("link")


def test_a_record_that_is_being_written_is_left_to_its_writer(home, tmp_path):
    shutil.copytree(home / "honest", tmp_path / "run")
    whole = Directory("run").records
    with open("run/metrics.jsonl", "a") as file:
        file.write('{"step": 10, "lo')
    assert Directory("run").records == whole


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "evaluate run split=../../x": "split: '../../x' is none of train",
        "evaluate run step=../../x": "step: '../../x' is not a whole number",
        "evaluate run step=-1": "step: there is no checkpoint of step -1",
        "sample run step=../x": "step: '../x' is not a whole number",
        "predict run ../..": "cannot predict",
    }.items(),
)
def test_no_name_leaves_the_run_directory(home, tmp_path, capsys, words, message):
    shutil.copytree(home / "honest", tmp_path / "run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    [
        *("optax.lamb", "optax.contrib.prodigy", "optax.losses.huber_loss", "haiku.nets.MLP"),
        *("haiku.initializers.RandomNormal", "jax.nn.tanh", "flax.linen.Dense"),
    ],
)
def test_what_the_libraries_define_and_offer_is_trusted(name):
    assert trust.is_public(name)
    trust.refuse_code({"net": {"_target_": name}})


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "builtins.eval", "optax", "optax.losses", "optax.nothing", "optax.jax.numpy.load"),
        *("optax._src.alias.lamb", "optax.lamb.__globals__", "haiku.jax.numpy.load", "haiku.nets.hk.os"),
        *("jax.numpy.load", "jax.nn.os.system", "flax.io.rmtree", "optax.losses.os.system", "optax..lamb"),
    ],
)
def test_what_another_package_defines_or_hides_is_not(name):
    assert not trust.is_public(name)
    with pytest.raises(ValueError, match="is not an installed part and may run any code"):
        trust.refuse_code({"net": {"_target_": name}})
