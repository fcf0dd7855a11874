"""What describes the project says the same everywhere, and what is built from it is complete."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME, VERSION = PROJECT["name"].replace("-", "_"), PROJECT["version"]
CODE = {
    str(path.relative_to(ROOT))
    for folder in ("runner", "hydra_plugins")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


def build(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.iterdir())


def test_a_wheel_holds_the_code_the_configurations_and_the_license_only(tmp_path):
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(f"{NAME}-{VERSION}.dist-info/METADATA").decode()
    described = {f"{NAME}-{VERSION}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")}
    described |= {f"{NAME}-{VERSION}.dist-info/{name}" for name in ("entry_points.txt", "licenses/LICENSE")}
    assert names == CODE | described
    assert {"runner/py.typed", "runner/conf/config.yaml", "hydra_plugins/runner/inprocess.py"} <= names
    assert "License-Expression: Apache-2.0" in metadata


def test_a_source_distribution_holds_the_code_and_what_describes_it_only(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    described = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"}
    assert names == CODE | described | {"PKG-INFO", ".gitignore"}


def test_the_citation_the_changelog_and_the_package_name_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## (\d\S*) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (citation["version"], citation["date-released"]) == released[0]
    assert citation["version"] == VERSION
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]


@pytest.mark.parametrize("path", [".ci/run", ".pre-commit-config.yaml", ".github/workflows/ci.yml"])
def test_every_make_command_of_the_automation_has_its_targets(path):
    text = re.sub(r"\$\{\{ matrix\.python \}\}", "3.11", (ROOT / path).read_text())
    assert path == ".ci/run" or yaml.safe_load(text)
    commands = re.findall(r"^(?:\s*(?:- run|entry): )?make (.+)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        words = ["make", "--dry-run", "VENV=.venv-ci", *command.split()]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)


def test_continuous_integration_covers_the_oldest_and_the_newest_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    pythons = {entry["python"] for entry in workflow["jobs"]["test"]["strategy"]["matrix"]["include"]}
    supported = [word.rsplit(" ", 1)[1] for word in PROJECT["classifiers"] if ":: 3." in word]
    assert pythons == {supported[0], supported[-1]}
    assert PROJECT["requires-python"] == f">={supported[0]}"


def test_nothing_tells_users_to_install_the_unrelated_package_of_the_same_name():
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *(ROOT / "runner").rglob("*.py")]
    found = [path.name for path in paths if re.search(r"pip install ['\"]?runner\b", path.read_text())]
    assert found == []
