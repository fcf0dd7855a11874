import logging
import sys
from pathlib import Path

import absl.logging
import bounds  # before JAX, whose settings it chooses
import jax
import pytest
from small_runs import COMMANDS

from runner.cli import main

jax.config.update("jax_numpy_rank_promotion", "raise")

# Configuring logging anew, as Hydra does, makes absl close the stream that it was imported under: pytest's own.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


def pytest_configure(config):
    config.pluginmanager.register(bounds.Bounds())


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keeps tests that share a fixture or a file in one worker, unless they name a group of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = "runs" if "runs" in item.fixturenames else item.path.name
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, and logs as if no command had run before it."""
    monkeypatch.chdir(tmp_path)
    log = logging.getLogger("runner")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)


@pytest.fixture
def refused(capsys):
    """Gives what runs a command that is to be refused by one line, with nothing written, and gives the line."""

    def run(words):
        before = set(Path().rglob("*"))
        with pytest.raises(SystemExit) as stopped:
            main(words)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        assert stopped.value.code == 2
        assert set(Path().rglob("*")) == before
        return lines[0]

    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Gives the folder with a finished run of each scenario, named for it."""
    folder = tmp_path_factory.mktemp("runs")
    for name, command in COMMANDS.items():
        main([*command, f"hydra.run.dir={folder / name}"])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an honest run of a GAN."""
    folder = tmp_path_factory.mktemp("home")
    main([*COMMANDS["gan"], f"hydra.run.dir={folder / 'honest'}"])
    return folder
