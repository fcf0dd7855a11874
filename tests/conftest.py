import sys

import absl.logging
import jax
import pytest
from commands import COMMANDS

from runner.cli import main

jax.config.update("jax_numpy_rank_promotion", "raise")

# Configuring logging anew, as Hydra does, makes absl close the stream that it was imported under: pytest's own.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Gives the folder with a finished run of each scenario, named for it."""
    folder = tmp_path_factory.mktemp("runs")
    for name, command in COMMANDS.items():
        main([*command, f"hydra.run.dir={folder / name}"])
    return folder
