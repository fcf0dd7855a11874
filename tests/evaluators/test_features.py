"""Samples compared by the features of a net that was trained here."""

import json

import numpy as np
import pytest

from runner.cli import main
from runner.runs import predictions
from runner.runs.saved_run import features, open_run

SMALL = ["net.hidden_sizes=[8]", "steps=4", "loop.log_every=2"]
GAN = ["scenario=gan", "dataset=digits", "evaluation=features", "evaluation.size=64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("features")
    main([*SMALL, f"hydra.run.dir={made / 'digits'}"])
    main([*SMALL, "scenario=autoencoder", f"hydra.run.dir={made / 'codes'}"])
    main([*SMALL, "scenario=gan", "evaluation.size=16", f"hydra.run.dir={made / 'ring'}"])
    return made


@pytest.mark.parametrize(("run", "size"), [("digits", 10), ("codes", 8)])
def test_features_are_codes_where_there_are_any_and_else_what_is_predicted(monkeypatch, folder, run, size):
    monkeypatch.setattr(predictions, "AT_ONCE", 2)
    of = features(str(folder / run))
    x = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
    assert of(x).shape == (5, size)
    scenario, state = open_run(folder / run).scenario, open_run(folder / run).state()
    expected = scenario.features(state, x) if run == "codes" else scenario.predict(state, x)
    np.testing.assert_allclose(of(x), expected, atol=1e-5)


def test_the_best_checkpoint_may_follow_a_distance_of_features(folder):
    follow = [f"evaluation.features.run={folder / 'digits'}", "loop.best=kernel_distance"]
    main([*SMALL, *GAN, *follow, "hydra.run.dir=run"])
    run = open_run("run")
    assert run.info.best["metric"] == "validation/kernel_distance"
    row = run.records[-1]
    assert 0 <= row["validation/precision"] <= 1
    assert 0 <= row["validation/recall"] <= 1
    main(["evaluate", "run"])
    saved = json.loads((run.path / "evaluations" / "4.json").read_text())
    assert saved["weights"] == "average"
    assert saved["validation"]["kernel_distance"] == row["validation/kernel_distance"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("nowhere", "holds no run"),
        ("ring", "its scenario, GAN, cannot predict"),
    ],
)
def test_a_run_without_features_is_refused(folder, run, message, capsys):
    with pytest.raises(SystemExit):
        main([*SMALL, *GAN, f"evaluation.features.run={folder / run}", "hydra.run.dir=run"])
    assert message in capsys.readouterr().err


def test_features_of_another_shape_are_refused_before_any_step(folder, capsys):
    of = f"evaluation.features.run={folder / 'digits'}"
    with pytest.raises(SystemExit):
        main([*SMALL, "scenario=gan", "evaluation=features", of, "hydra.run.dir=run"])
    assert "the features are of x of shape (8, 8, 1), and the data's has (2,)" in capsys.readouterr().err
