import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_runs import COMMANDS

from runner import open_run
from runner.cli import main
from runner.commands.verbs import VERBS


@pytest.mark.parametrize("scenario", COMMANDS)
def test_evaluation_returns_exactly_the_metrics_of_the_record(runs, scenario):
    run = open_run(runs / scenario)
    for step in run.checkpoints.steps:
        row = next(row for row in run.records if row["step"] == step)
        logged = {
            name.removeprefix("validation/"): value for name, value in row.items() if "validation/" in name
        }
        assert logged.pop("weights") == ("average" if scenario in ("gan", "diffusion") else "raw")
        metrics, _ = run.evaluate(step=step)
        assert metrics == logged


def test_evaluation_from_another_folder_and_process_prints_a_table_and_writes_it_down(runs, tmp_path):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    code = f"from runner.cli import main; main(['evaluate', {str(tmp_path / 'run')!r}, 'step=9'])"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True
    ).stdout
    written = json.loads((tmp_path / "run/evaluations/9.json").read_text())
    logged = open_run(runs / "supervised").records[-1]["validation/accuracy"]
    assert written["validation"]["accuracy"] == logged
    assert "accuracy" in shown


def test_the_test_split_is_evaluated_next_to_the_validation_split(runs, tmp_path):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    main(["evaluate", "run"])
    main(["evaluate", "run", "split=test"])
    step = open_run("run").step()
    written = json.loads(Path(f"run/evaluations/{step}.json").read_text())
    assert set(written) == {"step", "weights", "validation", "test", "evaluations"}
    assert written["test"] != written["validation"]
    assert Path(f"run/evaluations/{step}-test-confusion.png").is_file()


def test_samples_are_the_same_bytes_for_the_same_seed_and_drawn(runs, tmp_path):
    shutil.copytree(runs / "gan", tmp_path / "run")
    main(["sample", "run", "n=16", "step=9"])
    first = np.load("run/samples/9.npz")["x"]
    main(["sample", "run", "n=16", "step=9"])
    np.testing.assert_array_equal(np.load("run/samples/9.npz")["x"], first)
    assert first.shape == (16, 2)
    assert Path("run/samples/9.png").is_file()
    main(["sample", "run", "n=16", "step=9", "seed=1"])
    assert not np.array_equal(np.load("run/samples/9.npz")["x"], first)


@pytest.mark.parametrize(
    ("scenario", "shape"), [("ode_gan", (2,)), ("diffusion", (8, 8, 1)), ("vae", (8, 8, 1))]
)
def test_every_scenario_that_generates_is_sampled(runs, tmp_path, scenario, shape):
    shutil.copytree(runs / scenario, tmp_path / "run")
    main(["sample", "run", "n=5"])
    step = open_run("run").step()
    assert np.load(f"run/samples/{step}.npz")["x"].shape == (5, *shape)
    assert Path(f"run/samples/{step}.png").is_file()


def test_a_sample_takes_the_settings_of_its_scenario(runs, tmp_path):
    shutil.copytree(runs / "diffusion", tmp_path / "run")

    def drawn(*settings):
        main(["sample", "run", "n=4", "step=9", *settings])
        return np.load("run/samples/9.npz")["x"]

    assert np.array_equal(drawn("diffusion_steps=3"), drawn("diffusion_steps=3"))
    assert np.array_equal(drawn(), drawn("diffusion_steps=20"))
    assert not np.array_equal(drawn("diffusion_steps=3"), drawn())


def test_a_number_in_any_notation_is_a_setting_of_a_sample(runs, tmp_path, monkeypatch):
    from runner.runs.saved_run import Run

    given = []
    sample = lambda run, n, step, seed, **settings: given.append(settings) or np.eye(2)
    monkeypatch.setattr(Run, "sample", sample)
    shutil.copytree(runs / "gan", "run")
    main(["sample", "run", "a=1e-1", "b=3", "c=[1,2]", "d=.5", "e=text", "f=true", "prompt=1", "g=a: b: c"])
    assert given == [
        {"a": 0.1, "b": 3, "c": [1, 2], "d": 0.5, "e": "text", "f": True, "prompt": "1", "g": "a: b: c"}
    ]


def test_a_language_model_writes_text_after_a_prompt(runs, tmp_path, capsys):
    shutil.copytree(runs / "language_model", tmp_path / "run")
    main(["sample", "run", "n=3", "step=9", "length=12", "prompt=abba", "temperature=0.5"])
    texts = Path("run/samples/9.txt").read_text().split("\n\n")
    assert len(texts) == 3
    assert all(text.startswith("abba") and len(text.strip()) == 16 for text in texts)
    assert texts[0] in capsys.readouterr().out


def test_runs_are_listed_shown_and_compared(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs)
    main(["ls"])
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["gan", "finished", "gan", "ring", "0", "9/9"] in [line[:6] for line in listed]
    main(["show", str(runs / "gan")])
    assert "scenario.latent_size" in capsys.readouterr().out
    main(["diff", str(runs / "supervised"), str(runs / "regression")])
    assert "scenario._target_" in capsys.readouterr().out


def test_a_sweep_is_listed_as_one_line_and_by_its_runs(runs, capsys):
    for job, (status, value) in enumerate([("finished", 0.9), ("failed", 0.2), ("finished", 0.4)]):
        shutil.copytree(runs / "gan", f"all/sweep/{job}")
        path = Path(f"all/sweep/{job}/run.json")
        info = json.loads(path.read_text())
        path.write_text(json.dumps({**info, "status": status, "best": {**info["best"], "value": value}}))
    Path("all/sweep/jobs.json").write_text("{}")
    main(["ls", "all"])
    (line,) = capsys.readouterr().out.splitlines()[2:]
    assert line.split() == [
        "all/sweep",
        "3",
        "runs:",
        "2",
        "finished,",
        "1",
        "failed",
        "energy_distance",
        "0.2",
    ]
    main(["ls", "all", "--json"])
    assert [run["sweep"] for run in json.loads(capsys.readouterr().out)] == ["all/sweep"] * 3
    for folder, runs_of_it in (("all/sweep", 3), ("all/sweep/0", 1)):
        main(["ls", folder])
        assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[2:]] == ["gan"] * runs_of_it


def test_a_path_may_have_an_equals_sign(runs, capsys):
    shutil.copytree(runs / "supervised", "all/lr=0.1,seed=2")
    run = "all/lr=0.1,seed=2"
    for words in (
        ["status", run],
        ["show", run],
        ["diff", run, run],
        ["evaluate", run, "step=9"],
        ["resume", run],
    ):
        main(words)
    for verb in ("ls", "compare"):
        main([verb, "all/lr=0.1,seed=2"])
    assert Path(run, "evaluations", "9.json").is_file()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["show", "all/lr=0.2"])
    assert "all/lr=0.2: holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_with_its_options_and_examples(verb, capsys):
    main([verb, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: runner {verb} ")
    assert all(word in shown for word in ("options:", "examples:", f"\n  runner {verb}"))
    options = inspect.signature(VERBS[verb]).parameters.values()
    keys = [
        option.name
        for option in options
        if option.default is not option.empty and verb not in ("parts", "ls")
    ]
    assert all(("--json" if key == "as_json" else f"{key}=") in shown for key in keys)


def test_json_is_printed_alone_and_without_numbers_that_json_lacks(runs, tmp_path, capsys):
    shutil.copytree(runs / "supervised", "all/run")
    with open("all/run/metrics.jsonl", "a") as file:
        file.write('{"step": 9, "loss": "NaN"}\n')

    def read(*words):
        main([*words, "--json"])
        return json.loads(capsys.readouterr().out)

    assert read("status", "all/run") == {
        "run": str(tmp_path / "all/run"),
        **{"status": "finished", "saved": 9, "steps": 9, "error": None, "bad_step": None, "resume": None},
    }
    (listed,) = read("ls", "all")
    assert (listed["run"], listed["step"], listed["best"]["metric"]) == ("all/run", 9, "validation/accuracy")
    shown = read("show", "all/run")
    assert (shown["info"]["seed"], shown["metrics"]["loss"], shown["config"]["steps"]) == (0, None, 9)
    compared = read("compare", "all")
    assert compared["by"] == "validation/accuracy"
    assert [run["run"] for run in compared["runs"]] == ["run"]
    evaluated = read("evaluate", "all/run", "step=9")
    assert evaluated["metrics"]["accuracy"] == open_run("all/run").evaluate(step=9)[0]["accuracy"]
    with pytest.raises(SystemExit):
        main(["diff", "all/run", "all/run", "--json"])
    assert "runner diff: has no --json" in capsys.readouterr().err


def test_parts_are_listed_with_their_settings_and_defaults(capsys):
    main(["parts", "net"])
    shown = capsys.readouterr().out
    assert "multi-layer" in shown
    assert "hidden_sizes=[128, 128]" in shown
    main(["parts"])
    shown = capsys.readouterr().out
    assert all(f"\n{group}" in f"\n{shown}" for group in ("scenario", "net", "optimizer", "loss", "dataset"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "{supervised}", "split=tset"], "split: 'tset' is none of train, validation, test"),
        (["evaluate", "{supervised}", "step=5"], "step: there is no checkpoint of step 5"),
        (["evaluate", "{supervised}", "stepp=5"], "unknown setting stepp; known: split, step"),
        (["evaluate", "{supervised}", "step=last"], "step: 'last' is not a whole number"),
        (["sample", "{supervised}"], "Supervised, cannot sample"),
        (["sample", "{gan}", "n=0"], "n: 0 is less than 1"),
        (["sample", "{gan}", "diffusion_steps=3"], "GAN cannot sample with diffusion_steps=3"),
        (["sample", "{diffusion}", "diffusion_steps=0"], "diffusion_steps: 0 is less than 1"),
        (["sample", "{diffusion}", "diffusion_steps=many"], "cannot sample with diffusion_steps=many"),
        (["sample", "{language_model}", "prompt=!"], "prompt: '!' is not in the vocabulary of this run"),
        (["sample", "{language_model}", "temperature=0"], "temperature: 0 is not above 0"),
        (["sample", "{ppo}"], "PPO, cannot sample"),
        (["predict", "{gan}", "mine.csv"], "GAN, cannot predict"),
        (["resume", "{supervised}", "optimizer.learning_rate=1"], "say allow=optimizer.learning_rate too"),
        (["resume", "{supervised}", "steps=0"], "steps: 0 is less than 1"),
        (["diff", "{supervised}"], "runner diff"),
    ],
)
def test_wrong_words_are_refused_by_one_line(runs, words, message, capsys):
    folders = {name: runs / name for name in COMMANDS}
    with pytest.raises(SystemExit) as stopped:
        main([word.format(**folders) for word in words])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_run_opened_in_code_is_the_same_object_of_everything(runs):
    run = open_run(runs / "gan")
    assert run.config["scenario"]["latent_size"] == run.scenario.latent_size == 8
    assert run.info.status == "finished"
    assert run.sample(4).shape == (4, 2)
    assert run.step() in run.checkpoints.steps
