"""Every command on run directories that were prepared to do harm, under an audit hook."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import SECRET
from hostile_cases import CASES

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command says of each directory, and what it did."""
    home = tmp_path_factory.mktemp("home")
    (home / "tmp").mkdir()
    folders = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"RUNNER_CACHE": "off", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": folders}
    done = subprocess.run(
        [sys.executable, TESTS / "hostile_cases.py"],
        cwd=home,
        env=os.environ | own | {"TMPDIR": str(home / "tmp")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((home / "answers.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_hostile_directory_is_refused_by_a_line_or_read_as_data(answers, case):
    for command, code, output, errors, did in answers[case]:
        assert did == [], (command, did)
        assert code in (0, 2, 6), (command, errors)
        assert errors.count("\n") == bool(code), (command, errors)
        assert len(errors) < 2200, command
        assert SECRET not in output + errors, command
        assert all(line.isprintable() for line in (output + errors).split("\n")), command
