import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from small_runs import COMMANDS, EVERY, FIGURES

from runner import open_run
from runner.cli import main

LEFT = {"config.yaml", "run.json", "metrics.jsonl", "timing.jsonl", "checkpoints", "tensorboard", "figures"}
LONGER = ["steps=300", "loop.log_every=7", "loop.evaluate_every=null", "loop.save_every=20"]
GAN = [word for word in COMMANDS["gan"] if word not in EVERY] + LONGER


def python(code: str, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **options)


def equal(one, two) -> bool:
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in leaves)


@pytest.mark.parametrize("scenario", COMMANDS)
def test_a_run_leaves_all_that_a_run_directory_holds(runs, scenario):
    path = runs / scenario
    assert LEFT | {"runner.log"} <= {file.name for file in path.iterdir()}
    info = json.loads((path / "run.json").read_text())
    assert (info["status"], info["step"], info["seed"]) == ("finished", 9, 0)
    assert info["best"]["value"] is not None
    drawn = {file.stem.rpartition("-")[2] for file in (path / "figures").rglob("*.png")}
    assert drawn == {"curves"} | FIGURES[scenario]
    steps = [row["step"] for row in open_run(path).records]
    assert steps == [2, 4, 6, 8, 9]
    log = (path / "runner.log").read_text()
    assert "seed 0" in log
    assert str(path) in log


def test_a_finished_run_says_so_and_changes_nothing(runs, tmp_path, capsys):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    main([*COMMANDS["supervised"], "hydra.run.dir=run"])
    assert "already finished at step 9" in capsys.readouterr().out
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_saved_step_that_is_gone_is_missed(runs, tmp_path, capsys):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    shutil.rmtree("run/checkpoints/9")
    main(["resume", "run"])
    output = capsys.readouterr().out
    assert f"{tmp_path}/run/checkpoints/9: was saved, and is gone; going back to step 8" in output
    assert equal(open_run("run").state(9), open_run(runs / "supervised").state(9))
    shutil.rmtree("run/checkpoints")
    with pytest.raises(SystemExit) as stopped:
        main(["resume", "run"])
    assert stopped.value.code == 6
    assert "9: was saved, and is gone; bring it back" in capsys.readouterr().err


def test_resume_goes_on_to_more_steps_and_equals_the_longer_run(runs, tmp_path, capsys):
    shutil.copytree(runs / "supervised", tmp_path / "run")
    main(["resume", "run", "steps=12"])
    assert "resuming from step 9" in capsys.readouterr().out
    longer = [word.replace("steps=9", "steps=12") for word in COMMANDS["supervised"]]
    main([*longer, "hydra.run.dir=whole"])
    assert equal(open_run("run").state(12), open_run("whole").state(12))


def test_resume_takes_steps_by_their_own_name_alone(runs, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["resume", str(runs / "supervised"), "loop.steps=12"])
    assert stopped.value.code == 2
    assert "loop.steps: say steps=" in capsys.readouterr().err


def test_resume_keeps_the_horizon_of_a_schedule_and_the_same_command_with_other_steps_is_refused(capsys):
    scheduled = [*COMMANDS["supervised"], "schedule=cosine", "hydra.run.dir=run"]
    main(scheduled)
    with pytest.raises(SystemExit) as stopped:
        main([word.replace("steps=9", "steps=12") for word in scheduled])
    assert stopped.value.code == 2
    assert "horizon: 9.0 there, 12.0 asked for" in capsys.readouterr().err
    main(["resume", "run", "steps=12"])
    assert open_run("run").config["optimizer"]["horizon"] == 9.0
    assert open_run("run").records[-1]["learning_rate/optimizer"] == 0.0


def users_environment():
    """Returns the environment without the flags of tests, so that a command compiles as a user's does."""
    return {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}


def command_line(words, environment):
    """Begins a command in a process of its own."""
    code = f"from runner.cli import main; main({words!r})"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **quiet)


def kill_after(words, environment, checkpoint):
    process = command_line(words, environment)
    while not checkpoint.is_dir() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def assert_killed_and_resumed_equals_the_whole(words, first, environment):
    whole = command_line([*words, "hydra.run.dir=whole"], environment)
    killed = [*words, "hydra.run.dir=killed"]
    kill_after(killed, environment, Path("killed/checkpoints").absolute() / str(first))
    assert json.loads(Path("killed/run.json").read_text())["status"] == "running"
    assert command_line(killed, environment).wait() == whole.wait() == 0
    whole, killed = open_run("whole"), open_run("killed")
    assert whole.checkpoints.steps == killed.checkpoints.steps
    assert equal(whole.state(), killed.state())
    assert (whole.path / "metrics.jsonl").read_bytes() == (killed.path / "metrics.jsonl").read_bytes()


SUPERVISED = ["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8"]


def test_a_run_killed_after_its_first_checkpoint_ends_with_the_same_bits():
    words = [*SUPERVISED, "steps=400", "loop.save_every=20"]
    assert_killed_and_resumed_equals_the_whole(words, first=20, environment=os.environ)


@pytest.mark.slow
def test_a_gan_compiled_as_users_do_and_killed_ends_with_the_same_bits():
    assert_killed_and_resumed_equals_the_whole(GAN, first=20, environment=users_environment())


@pytest.mark.slow
def test_a_run_on_streamed_images_killed_on_its_way_ends_with_the_same_bits(tmp_path):
    """300 photographs of several sizes and modes, one of them cut off."""
    random, folder = np.random.default_rng(0), tmp_path / "images"
    folder.mkdir()
    for number in range(300):
        mode, size = ("RGB", "L", "CMYK", "RGBA")[number % 4], tuple(random.integers(10, 40, 2))
        pixels = random.integers(0, 256, (*size, 3)).astype(np.uint8)
        ending = "png" if mode == "RGBA" else "jpg"
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.{ending}")
    cut = folder / "0.jpg"
    cut.write_bytes(cut.read_bytes()[:200])
    words = ["scenario=diffusion", "net=unet", "net.channels=[4,8]", "net.blocks=1", "dataset=image_folder"]
    words += [f"dataset.path={folder}", "dataset.size=8", "dataset.batch_size=16", "evaluation.size=16"]
    words += ["steps=150", "loop.save_every=10", "loop.evaluate_every=100", "loop.log_every=7"]
    assert_killed_and_resumed_equals_the_whole(words, first=10, environment=users_environment())


def test_a_sweep_runs_every_job_in_a_directory_of_its_own():
    main(["-m", *COMMANDS["supervised"], "seed=0,1", "hydra.sweep.dir=sweep"])
    assert [open_run(f"sweep/{job}").config["seed"] for job in (0, 1)] == [0, 1]


def test_a_job_that_fails_is_reported_at_once_and_the_others_run(capsys):
    words = [word for word in COMMANDS["supervised"] if "batch_size" not in word]
    with pytest.raises(SystemExit) as stopped:
        main(["-m", *words, "dataset.batch_size=1000,8", "hydra.sweep.dir=sweep"])
    assert stopped.value.code == 2
    assert "#0 dataset.batch_size=1000  dataset.batch_size: 1000 rows" in capsys.readouterr().out
    assert open_run("sweep/1").info.status == "finished"


def test_the_job_returns_its_best_metric_which_a_sweeper_optimises(tmp_path):
    from runner.compose.command_line import compose
    from runner.runs.training import Training

    best = Training(compose(COMMANDS["supervised"])).run(tmp_path / "run")
    rows = [row["validation/accuracy"] for row in open_run("run").records if "validation/accuracy" in row]
    assert best == max(rows)


@pytest.mark.parametrize(
    "words", [["--help"], ["stepz=3"], ["parts", "net"], ["scenario=gan", "net.hidden_sizes=x"]]
)
def test_help_parts_and_refusals_import_no_jax(words):
    code = f"""
import sys
from runner.cli import main
try:
    main({words!r})
except SystemExit:
    pass
assert "jax" not in sys.modules
"""
    python(code)


def test_help_names_every_group_and_an_example():
    shown = python("from runner.cli import main; main(['--help'])").stdout
    for word in (
        "scenario: autoencoder",
        "net: cnn",
        "experiment",
        "runner scenario=gan net=mlp",
        "resume RUN",
    ):
        assert word in shown


def test_completion_answers_with_choices_and_keys():
    code = "from runner.cli import main; main(['-sc', 'query=bash'])"
    import os

    environment = {**os.environ, "COMP_LINE": "runner scenario=", "COMP_POINT": "16"}
    assert "scenario=gan" in python(code, env=environment).stdout


def test_a_folder_of_ones_own_adds_a_part_without_touching_the_package(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import haiku as hk\n\n\ndef tiny(output_shape, size: int = 3):\n"
        "    return hk.transform(lambda x: hk.nets.MLP([size, *output_shape])(hk.Flatten()(x)))\n"
    )
    (tmp_path / "conf" / "net").mkdir(parents=True)
    (tmp_path / "conf" / "net" / "tiny.yaml").write_text("_target_: mine.tiny\n_partial_: true\nsize: 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = [word for word in COMMANDS["supervised"] if "hidden" not in word]
    main(["--config-dir", "conf", *words, "net=tiny", "net.size=5", "hydra.run.dir=run"])
    assert open_run("run", trust_code=True).config["net"]["size"] == 5
    assert Path("run/metrics.jsonl").is_file()


def started(*words: str) -> subprocess.Popen:
    """Starts a run as a shell does in the background, with SIGINT ignored."""
    code = "from runner.cli import main; main()"
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    return subprocess.Popen([*shell, sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_stops_and_the_run_goes_on_to_the_same_bits(tmp_path, number, code):
    words = [
        *COMMANDS["supervised"][:3],
        "loop.log_every=7",
        "loop.save_every=null",
        "loop.evaluate_every=null",
    ]
    words += ["figures=false", "steps=100000"]
    process = started(*words, "hydra.run.dir=run")
    while len(open_records("run")) < 3:
        assert process.poll() is None
    process.send_signal(number)
    _, output = process.communicate(timeout=60)
    assert process.returncode == code
    assert output.startswith("error: stopped at step ")
    info = json.loads(Path("run/run.json").read_text())
    assert info["status"] == "stopped"
    stopped = int(output.split()[4].rstrip(";"))
    assert info["saved"] == open_run("run").checkpoints.newest() == stopped
    main(["resume", "run", f"steps={stopped + 10}"])
    main([*words[:-1], f"steps={stopped + 10}", "hydra.run.dir=alone"])
    assert equal(open_run("run").state(stopped + 10), open_run("alone").state(stopped + 10))
    assert Path("run/metrics.jsonl").read_bytes() == Path("alone/metrics.jsonl").read_bytes()


def open_records(path: str) -> list[str]:
    file = Path(path) / "metrics.jsonl"
    return file.read_text().splitlines() if file.is_file() else []


def test_of_two_starts_in_one_directory_the_second_is_refused(tmp_path, capsys):
    words = [*COMMANDS["supervised"][:3], "figures=false", "steps=100000", "hydra.run.dir=run"]
    first = started(*words)
    while not open_records("run"):
        assert first.poll() is None
    with pytest.raises(SystemExit) as stopped:
        main(words)
    first.kill()
    first.communicate()
    assert stopped.value.code == 3
    assert f"in use by process {first.pid}" in capsys.readouterr().err


def test_settings_and_data_change_on_the_way_only_where_they_are_allowed_to(tmp_path, capsys):
    rows = ["a,b", *(f"{number},{number / 7}" for number in range(60))]
    Path("rows.csv").write_text("\n".join(rows))
    words = [
        "dataset=csv",
        "dataset.path=rows.csv",
        "dataset.target=b",
        "scenario=regression",
        "figures=false",
    ]
    words += ["net.hidden_sizes=[4]", "dataset.batch_size=8", *EVERY, "hydra.run.dir=run"]
    main(words)
    longer = [word for word in words if not word.startswith("steps=")] + ["steps=12"]
    rate = "optimizer.learning_rate=0.5"
    with pytest.raises(SystemExit):
        main([*longer, rate])
    assert "optimizer.learning_rate: 0.001 there, 0.5 asked for" in capsys.readouterr().err
    Path("rows.csv").write_text("\n".join([*rows[:-1], "59,7.5"]))
    with pytest.raises(SystemExit) as stopped:
        main(longer)
    assert stopped.value.code == 2
    assert "its data were others" in capsys.readouterr().err
    main([*longer, rate, "allow=[optimizer.learning_rate,data]"])
    output = capsys.readouterr().out
    assert "optimizer.learning_rate: 0.001 there, 0.5 asked for (allowed)" in output
    assert "bits will differ" in output
    assert open_run("run").records[-2]["learning_rate/optimizer"] == 0.5
    assert open_run("run").config["allow"] is None
