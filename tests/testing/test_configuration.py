"""`runner check`, and the plugin that makes tests of its checks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.testing import check_configuration

OWN = Path(__file__).parents[2] / "examples" / "own"
SMALL = ["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8", "steps=40"]


@pytest.fixture
def conf(tmp_path):
    """A folder of configurations with a scenario that draws from a constant key."""
    for name, text in {
        "scenario/drawing.yaml": "_target_: faulty.DrawsFromAConstantKey\nnoise: 0.01\n",
        "dataset/pairs.yaml": "_target_: faulty.data\nbatch_size: 8\n",
    }.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True)
        (tmp_path / "conf" / name).write_text(text)
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--jsn"], "error: runner check: unrecognized arguments: --jsn"),
        (["seeds=2"], "error: seeds: one run is checked; leave it out"),
        (["net=mpl"], "error: unknown net mpl; did you mean mlp?"),
    ],
)
def test_a_wrong_command_is_refused(refused, words, message):
    assert refused(["check", *words]).startswith(message)


@pytest.mark.slow
def test_a_command_reports_each_check_as_json_and_leaves_nothing(capsys):
    main(["check", "--json", *SMALL])
    results = json.loads(capsys.readouterr().out)
    outcomes = {result["check"]: result["outcome"] for result in results}
    assert "failed" not in outcomes.values()
    assert outcomes["a run that is killed and resumed equals the whole bit for bit"] == "passed"
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_a_broken_law_is_named_with_exit_code_1(conf, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--config-dir", str(conf), "scenario=drawing", "dataset=pairs", "steps=40"])
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    name = "a step draws from its key if it draws at all"
    assert f"failed   {name}: step draws random numbers that do not depend on its key" in printed.out
    assert printed.err == f"error: 1 of 29 checks failed: {name}\n"


@pytest.mark.slow
def test_a_configuration_is_checked_in_code():
    results = check_configuration(SMALL)
    assert {"a step takes", "a save takes"} <= {result.check for result in results}


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    roots = [folder, *map(str, Path(__file__).parents[:3:2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}
    words = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_example_tests_its_scenario_with_three_lines(tmp_path):
    shutil.copytree(OWN, tmp_path / "own")
    finished = pytest_in(tmp_path / "own")
    assert finished.returncode == 0, finished.stdout
    assert "27 passed, 2 skipped" in finished.stdout


@pytest.mark.slow
def test_a_broken_law_is_a_failed_test_of_one_line(conf):
    settings = "[pytest]\ntestpaths = conf\nrunner_conf = conf\nrunner_settings = dataset=pairs steps=40\n"
    (conf.parent / "pytest.ini").write_text(settings)
    finished = pytest_in(conf.parent)
    assert finished.returncode == 1, finished.stderr
    line = "step draws random numbers that do not depend on its key"
    assert [text for text in finished.stdout.splitlines() if text.endswith(line)]
    assert "1 failed" in finished.stdout
    assert "Traceback" not in finished.stdout


@pytest.mark.slow
def test_a_configuration_that_cannot_be_built_is_one_failed_test(conf):
    (conf.parent / "pytest.ini").write_text("[pytest]\nrunner_conf = conf\nrunner_settings = dataset=pears\n")
    finished = pytest_in(conf.parent, "conf")
    assert "unknown dataset pears; did you mean pairs?" in finished.stdout
    assert "1 failed, 28 skipped" in finished.stdout
