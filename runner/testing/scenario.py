"""Checks of a scenario, or of a whole configuration, as one call."""

from collections.abc import Sequence
from pathlib import Path

from runner.compose.command_line import compose
from runner.core import Dataset, Evaluator, PyTree, Scenario, Source
from runner.testing.configuration import Configuration
from runner.testing.laws import LAWS
from runner.testing.results import Result, require_passed, results_of
from runner.testing.subject import Subject


def check_scenario(
    scenario: Scenario[PyTree],
    data: Dataset | Source,
    evaluator: Evaluator[PyTree] | None = None,
    fuse: str = "auto",
) -> list[Result]:
    """Checks that a scenario follows the laws, by short runs on its data.

    Args:
        scenario: satisfies `runner.core.Scenario`.
        data: a dataset, or the training source alone.
        evaluator: as in `runner.Loop.run`; without one, evaluation between the steps is not checked.
        fuse: as in `runner.Loop`.

    Raises:
        AssertionError: a law is broken; one line for each says how.
    """
    return require_passed(results_of(LAWS, Subject(scenario, data, evaluator, fuse)))


def check_configuration(settings: Sequence[str] = (), config_dir: str | Path | None = None) -> list[Result]:
    """Checks a configuration, as `runner check` does.

    Args:
        settings: as on the command line, such as `["scenario=gan"]`.
        config_dir: a folder with further parts, as `--config-dir`.

    Raises:
        ConfigError: a setting is wrong.
        AssertionError: a check failed; one line for each.
    """
    config = compose(settings, [] if config_dir is None else [str(config_dir)])
    return require_passed(Configuration(config).results())
