"""A command that is refused changes no file of the run, so that everything that worked before works afterwards."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from damages import (
    WORDS,
    broken,
    every,
    fails,
    files,
    newest,
    no_data,
    other_data,
    overwritten,
    rows,
    without,
)

from runner.cli import main

LONGER = ["steps=40"]
CLIP = ["optimizer.clip=1.0", "allow=optimizer.clip"]
WIDER = ["net.hidden_sizes=[5]", "allow=net.hidden_sizes"]
# What is done before the command, the words of `resume`, and the exit code.
REFUSALS = {
    "another optimizer's state": (None, [*LONGER, *CLIP], 6),
    "another net": (None, [*LONGER, *WIDER], 6),
    "another net, nothing allowed": (None, [*LONGER, WIDER[0]], 2),
    "a value of another type": (None, ["steps=many"], 2),
    "an unknown setting": (None, [*LONGER, "optimizer.klip=1", "allow=optimizer.klip"], 2),
    "a value out of range": (None, [*LONGER, "optimizer.clip=-1.0", "allow=optimizer.clip"], 2),
    "other data": (other_data, LONGER, 2),
    "no data": (no_data, LONGER, 2),
    "a damaged checkpoint behind one that does not fit": (newest("seal.json"), [*LONGER, *CLIP], 6),
    "all checkpoints damaged": (every("state/manifest.ocdbt"), LONGER, 6),
    "no checkpoints": (without("checkpoints"), LONGER, 6),
    "damaged metrics": (broken("metrics.jsonl"), LONGER, 2),
    "damaged times": (broken("timing.jsonl"), LONGER, 2),
    "a damaged run info": (overwritten("run.json", "{"), LONGER, 2),
    "a damaged configuration": (overwritten("config.yaml", "a: [\n"), LONGER, 2),
    "a missing donor": (None, [*LONGER, "init_from=none", "allow=init_from"], 2),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Gives a folder with a run by its kind: finished, stopped, or of two seeds."""
    folders = {}
    for kind in ("finished", "stopped", "seeds"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        with contextlib.chdir(folders[kind]):
            rows()
            main([*WORDS, "steps=10", *(["seeds=2"] if kind == "seeds" else [])])
            if kind == "stopped":
                info = json.loads((folders[kind] / "run" / "run.json").read_text())
                info |= {"status": "stopped", "step": None, "error": "Stopped: stopped at step 10"}
                (folders[kind] / "run" / "run.json").write_text(json.dumps(info))
    return folders


@pytest.fixture
def run(request, trained, tmp_path):
    shutil.copytree(trained[request.param], tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


@pytest.mark.parametrize("run", ["finished", "stopped", "seeds"], indirect=True)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_resume_that_is_refused_leaves_every_file_as_it_was(run, refusal):
    prepare, words, code = REFUSALS[refusal]
    if prepare is not None:
        prepare(run)
    before = files()
    assert fails(["resume", "run", *words]) == code
    assert files() == before


@pytest.mark.parametrize("run", ["finished", "stopped", "seeds"], indirect=True)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_command_on_a_run_that_is_refused_leaves_every_file_as_it_was(run, refusal):
    prepare, words, code = REFUSALS[refusal]
    if prepare is not None:
        prepare(run)
    before, seeds = files(), ["seeds=2"] if (run / "members").is_dir() else []
    keys = {word.partition("=")[0] for word in words}
    command = [word for word in WORDS if word.partition("=")[0] not in keys]
    assert fails([*command, *words, *seeds]) == code
    assert files() == before


@pytest.mark.parametrize("run", ["finished", "stopped", "seeds"], indirect=True)
def test_after_a_refusal_the_run_goes_on_by_every_command_as_before(run, capsys):
    assert fails(["resume", "run", *LONGER, *CLIP]) == 6
    seeds = ["seeds=2"] if (run / "members").is_dir() else []
    main(["evaluate", "run/members/1" if seeds else "run"])
    main(["resume", "run", "steps=15"])
    main([*WORDS, "steps=20", *seeds])
    assert json.loads((run / "run.json").read_text())["step"] == 20


def test_a_sweep_whose_runs_are_refused_leaves_every_file_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["-m", *WORDS[:-1], "seed=0,1", "hydra.sweep.dir=sweep"]
    rows()
    main([*command, "steps=10"])
    before = files("sweep")
    assert fails([*command, "steps=10", "optimizer.learning_rate=-1"]) == 2
    rows(seed=1)
    assert fails([*command, "steps=10", "optimizer.learning_rate=0.5"]) == 2
    assert fails([*command, "steps=15"]) == 2
    assert files("sweep") == before
    rows()
    main([*command, "steps=15"])
    assert json.loads(Path("sweep/1/run.json").read_text())["step"] == 15
