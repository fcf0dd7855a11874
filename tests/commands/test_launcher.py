import json
import re
import shutil

import jax
import numpy as np
import pytest
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from jax._src import monitoring
from small_runs import COMMANDS

from runner import open_run
from runner.cli import main
from runner.runs import parallel
from runner.storage.lock import Lock

WARMED = ["schedule=warmup_cosine", "schedule.warmup=0.2"]
RATES = [1e-2, 3e-3, 1e-3]


@pytest.mark.filterwarnings("ignore:Future Hydra versions")  # what its tests do themselves
@pytest.mark.parametrize(("launcher_name", "overrides"), [("inprocess", [])])
class TestAsOneOfHydrasLaunchers(LauncherTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [
        (
            {},
            [
                "-m",
                "hydra/launcher=inprocess",
                "hydra.job_logging.formatters.simple.format='[HYDRA] %(message)s'",
            ],
        )
    ],
)
class TestAsOneOfHydrasLaunchersInAnApplication(IntegrationTestSuite):
    pass


@pytest.fixture
def compiled():
    """Collects the names of the programs that are compiled."""
    names = []

    def count(event, duration, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(fun_name)

    monitoring.register_event_duration_secs_listener(count)
    yield names
    monitoring.unregister_event_duration_listener(count)


def leaves(path):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(open_run(path).state(9))]


def equal(one, two):
    same_record = (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    return same_record and all(np.array_equal(*pair) for pair in zip(leaves(one), leaves(two), strict=True))


@pytest.mark.parametrize("scenario", ["supervised", pytest.param("gan", marks=pytest.mark.slow)])
def test_each_member_of_a_sweep_of_rates_is_the_same_run_alone(tmp_path, scenario):
    command = [*COMMANDS[scenario], *WARMED]
    rates = ",".join(map(str, RATES))
    main(["-m", *command, f"optimizer.learning_rate={rates}", "seed=1", f"hydra.sweep.dir={tmp_path}/sweep"])
    for number, rate in enumerate(RATES):
        alone = tmp_path / str(number)
        main([*command, f"optimizer.learning_rate={rate}", "seed=1", f"hydra.run.dir={alone}"])
        assert equal(tmp_path / "sweep" / str(number), alone)


@pytest.mark.slow
def test_members_that_differ_in_floats_and_seeds_share_one_compiled_program(compiled):
    jax.clear_caches()
    main(
        [
            "-m",
            *[word for word in COMMANDS["supervised"] if "hidden" not in word],
            "seed=range(3)",
            "optimizer.learning_rate=1e-2,1e-3",
            "net.hidden_sizes=[9]",
        ]
    )
    for program in ("_initialize", "_chunk", "_evaluate_batch"):
        assert sum(program in name for name in compiled) == 1, program


def test_a_member_that_fails_is_named_and_harms_no_other(tmp_path, capsys):
    words = [word for word in COMMANDS["supervised"] if "batch_size" not in word]
    sweep = ["-m", *words, "figures=false", f"hydra.sweep.dir={tmp_path}/sweep"]
    with pytest.raises(SystemExit) as stopped:
        main([*sweep, "dataset.batch_size=8,1000000", "optimizer.learning_rate=1e-3,1e38,1e-2"])
    assert stopped.value.code != 0
    output = capsys.readouterr()
    assert len(re.findall(r"#\d dataset\.batch_size=1000000 .*1000000 rows a batch, of", output.out)) == 3
    assert "dataset.batch_size=8 optimizer.learning_rate=1e+38  loss is" in output.out
    assert "NotFinite" not in output.out.splitlines()[-1]
    assert output.err.splitlines() == ["error: 4 of 6 runs failed, for the reasons above"]
    status = {run.parent.name: json.loads(run.read_text())["status"] for run in tmp_path.rglob("run.json")}
    assert status == {"0": "finished", "1": "failed", "2": "finished"}


def test_jobs_that_share_a_run_directory_are_refused_before_any_runs(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "-m",
                *COMMANDS["supervised"],
                "seed=0,1",
                f"hydra.sweep.dir={tmp_path}/s",
                "hydra.sweep.subdir=one",
            ]
        )
    assert stopped.value.code == 2
    assert "hydra.sweep.subdir: jobs 0 and 1 share the run directory" in capsys.readouterr().err
    assert not (tmp_path / "s" / "one").exists()


def test_another_launcher_of_hydra_runs_the_jobs_too(tmp_path):
    words = ["dataset=iris", "net=linear", "steps=1", "figures=false", f"hydra.sweep.dir={tmp_path}"]
    main(["-m", *words, "hydra/launcher=basic", "optimizer=optax.lamb", "optimizer.learning_rate=0.1,0.2"])
    rates = [open_run(tmp_path / job).config["optimizer"]["learning_rate"] for job in "01"]
    assert rates == [0.1, 0.2]


def test_the_same_sweep_again_runs_only_what_is_missing(tmp_path, capsys):
    command = ["-m", *COMMANDS["supervised"], "figures=false", f"hydra.sweep.dir={tmp_path}"]
    main([*command, "seed=0,1"])
    before = (tmp_path / "1" / "run.json").read_bytes()
    main([*command, "seed=0,1,2"])
    assert (tmp_path / "1" / "run.json").read_bytes() == before
    assert json.loads((tmp_path / "2" / "run.json").read_text())["status"] == "finished"


def test_a_second_sweep_in_a_directory_is_refused_before_it_writes_anything(tmp_path, capsys):
    command = ["-m", *COMMANDS["supervised"], "figures=false", f"hydra.sweep.dir={tmp_path}/s"]
    with Lock(tmp_path / "s"), pytest.raises(SystemExit) as stopped:  # of a sweep, of a run or of seeds
        main([*command, "seed=0,1"])
    assert stopped.value.code == 3
    assert capsys.readouterr().err.startswith(
        f"error: sweep directory {tmp_path}/s: in use by this process; "
    )
    assert [path.name for path in (tmp_path / "s").iterdir()] == [".lock"]
    main([*command, "seed=0,1"])
    assert len(json.loads((tmp_path / "s" / "jobs.json").read_text())) == 2


def test_nothing_else_writes_to_the_directory_of_a_sweep_while_it_runs(tmp_path, monkeypatch):
    refusals, run_members = [], parallel.run_members

    def try_all(*arguments):
        for words in (["hydra.run.dir=s"], ["seeds=2", "hydra.run.dir=s"], ["-m", "hydra.sweep.dir=s"]):
            with pytest.raises(SystemExit) as stopped:
                main([*words, *COMMANDS["supervised"]])
            refusals.append(stopped.value.code)
        return run_members(*arguments)

    monkeypatch.setattr(parallel, "run_members", try_all)
    main(["-m", *COMMANDS["supervised"], "seed=0,1", "hydra.sweep.dir=s"])
    assert refusals == [2, 2, 3]  # a run finds the files of the sweep, before it finds its lock
    assert len(json.loads((tmp_path / "s" / "jobs.json").read_text())) == 2
    assert {path.parent.name for path in (tmp_path / "s").rglob("run.json")} == {"0", "1"}


@pytest.mark.parametrize("words", [[], ["seeds=2"]])
def test_a_sweep_in_a_run_directory_is_refused(words, tmp_path, capsys):
    main([*COMMANDS["supervised"], *words, "figures=false", "hydra.run.dir=run"])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as stopped:
        main(["-m", *COMMANDS["supervised"], "seed=0,1", "hydra.sweep.dir=run"])
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err == "error: sweep directory run: holds a run; take another hydra.sweep.dir\n"
    )
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*") if path.is_file()}
    del before[tmp_path / "run" / ".lock"], after[tmp_path / "run" / ".lock"]
    assert before == after


@pytest.fixture
def two_seeds(tmp_path):
    """Gives the command of a sweep that has run, and the file that its settings are frozen in."""
    place = f"hydra.sweep.dir={tmp_path}/sweep"
    command = ["-m", *COMMANDS["supervised"], "figures=false", place, "seed=0,1"]
    main(command)
    return command, tmp_path / "sweep" / "jobs.json"


def test_a_job_not_yet_run_keeps_the_settings_it_had_when_the_sweep_was_begun(two_seeds, tmp_path, capsys):
    command, path = two_seeds
    shutil.rmtree(tmp_path / "sweep" / "1")
    known = json.loads(path.read_text())
    for config in known.values():
        config["optimizer"]["learning_rate"] = 0.25  # as a file of configurations would have said then
    path.write_text(json.dumps(known))
    with pytest.raises(SystemExit):
        main(command)
    assert (
        "keeps the settings it was started with (optimizer.learning_rate: 0.25 there"
        in capsys.readouterr().out
    )
    assert open_run(tmp_path / "sweep" / "1").config["optimizer"]["learning_rate"] == 0.25


def test_a_sweep_whose_record_of_jobs_names_other_code_is_refused(two_seeds, capsys):
    command, path = two_seeds
    path.write_text(path.read_text().replace("runner.nets.mlp", "runner.nets.linear"))
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2
    assert "take another hydra.sweep.dir" in capsys.readouterr().err


def test_a_launcher_without_threads_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["-m", *COMMANDS["supervised"], "seed=0,1", "hydra.launcher.threads=0"])
    assert "hydra.launcher.threads: 0 is less than 1" in capsys.readouterr().err
