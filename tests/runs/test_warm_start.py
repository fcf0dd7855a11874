import json
import shutil

import jax
import numpy as np
import pytest

from runner.cli import main
from runner.runs.saved_run import open_run

SMALL = ["dataset=iris", "dataset.batch_size=8", "loop.log_every=2"]


def train(directory, *overrides, steps=6, sizes="[8]", opened=None):
    main([*SMALL, f"net.hidden_sizes={sizes}", f"steps={steps}", *overrides, f"hydra.run.dir={directory}"])
    return open_run(opened or directory)


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    return train(tmp_path_factory.mktemp("donor") / "run")


def refused(capsys, *overrides, sizes="[8]"):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, f"net.hidden_sizes={sizes}", *overrides, "hydra.run.dir=refused"])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_the_first_evaluation_before_any_step_equals_the_other_runs_last(donor):
    run = train("run", f"init_from={donor.path}", "seed=7")
    first, last = run.records[0], donor.records[-1]
    assert first["step"] == 0
    assert first == {"step": 0} | {name: last[name] for name in last if name.startswith("validation/")}
    assert run.info.init_from == {"run": str(donor.path), "step": 6, "names": None}


def test_optimizers_begin_anew():
    train("one", steps=6)
    run = train("two", "init_from=one", steps=6)
    assert int(run.state(6).net.opt_state[0].count) == 6


def test_a_part_of_a_net_is_taken_by_its_prefix_and_may_be_frozen(donor):
    part = ["init_names=net.params.linear", "freeze=net.params.linear"]
    run = train("run", f"init_from={donor.path}", *part, "seed=5")
    taken, own = donor.state(6).net.params, run.state(6).net.params
    assert np.array_equal(own["linear"]["w"], taken["linear"]["w"])
    assert not np.allclose(own["output"]["w"], taken["output"]["w"], atol=1e-2)


def test_another_step_can_be_named(tmp_path):
    donor = train("one", "loop.save_every=2")
    run = train("run", "init_from=one", "init_step=4")
    values = [jax.device_get(each.net.params) for each in (donor.state(4), donor.state(6))]
    assert run.info.init_from["step"] == 4
    assert not np.array_equal(values[0]["output"]["w"], values[1]["output"]["w"])


def test_a_resumed_run_takes_nothing_again(donor):
    train("run", f"init_from={donor.path}", steps=6)
    main(["resume", "run", "steps=8"])
    steps = [row["step"] for row in open_run("run").records]
    assert steps == sorted(set(steps))
    assert steps[0] == 0


@pytest.mark.slow
def test_a_resumed_run_needs_the_other_run_no_more(donor, capsys):
    shutil.copytree(donor.path, "other")
    train("run", "init_from=other", "loop.save_every=3", "seeds=2", steps=4, opened="run/members/1")
    whole = train("whole", "init_from=other", "seed=1")
    shutil.rmtree("other")
    main(["resume", "run", "steps=6"])
    resumed = open_run("run/members/1")
    assert resumed.records[-1] == whole.records[-1]
    assert resumed.info.init_from == whole.info.init_from
    shutil.rmtree("run/members/0/checkpoints")
    shutil.rmtree("run/members/0/")
    with pytest.raises(SystemExit):
        main(["resume", "run", "steps=8"])
    assert "init_from" in capsys.readouterr().err
    assert "other: holds no run" in refused(capsys, "init_from=other")


def test_what_is_missing_unknown_or_misshapen_is_listed(donor, capsys):
    said = refused(capsys, f"init_from={donor.path}", sizes="[9,9]")
    assert "missing there: net.params.linear_1.b, net.params.linear_1.w" in said
    assert "misshapen: net.params.linear.b (float32[8] there, float32[9] here)" in said
    wide = train("wide", sizes="[8,8]")
    said = refused(capsys, f"init_from={wide.path}")
    assert "unknown here: net.params.linear_1.b" in said


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["init_from=nowhere"], "init_from:"),
        (["init_names=[net]"], "init_names: says what to take of a run; name the run by init_from=RUN"),
        (
            ["init_from={donor}", "init_names=nothing"],
            "init_names: nothing is named nothing; there are net.params",
        ),
        (["init_from={donor}", "init_step=5"], "init_from: step: there is no checkpoint of step 5"),
        (["freeze=nothing"], "freeze: nothing is named nothing"),
        (["freeze=3"], "freeze: 3 is not a name, a list of names or null"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_key_and_nothing_is_written(
    donor, overrides, said, capsys, tmp_path
):
    assert said in refused(capsys, *(text.format(donor=donor.path) for text in overrides))
    assert not (tmp_path / "refused").exists()


def test_a_config_records_where_values_came_from(donor):
    run = train("run", f"init_from={donor.path}")
    assert json.loads((run.path / "run.json").read_text())["init_from"]["run"] == str(donor.path)
