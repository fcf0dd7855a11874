"""A plugin of pytest: each scenario of a folder of configurations becomes a file of tests, one for each check.

The folder is named by the option `runner_conf` of pytest's settings; `runner_settings` are settings of every scenario.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the settings of this plugin."""
    parser.addini("runner_conf", "folders of configurations of runner whose scenarios are checked", "paths")
    parser.addini("runner_settings", "settings of runner for all these checks, such as dataset=iris", "args")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    """Collects the YAML file of a scenario as a file of tests."""
    folders = [Path(folder) for folder in parent.config.getini("runner_conf")]
    if file_path.suffix == ".yaml" and file_path.parent in [folder / "scenario" for folder in folders]:
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """The checks of one scenario, which share its short runs."""

    def collect(self) -> Iterable["CheckItem"]:
        """Yields one test for each check."""
        from runner.testing.configuration import CHECKS
        from runner.testing.laws import LAWS
        from runner.testing.results import name_of

        for check in (*LAWS, *CHECKS):
            yield CheckItem.from_parent(self, name=name_of(check), check=check)

    @functools.cached_property
    def case(self) -> Any:
        """The configuration, composed and built at the first test, or the error that this raised."""
        from runner.compose.command_line import compose
        from runner.testing.configuration import Configuration

        settings = [f"scenario={self.path.stem}", *self.config.getini("runner_settings")]
        try:
            return Configuration(compose(settings, [str(self.path.parent.parent)]))
        except Exception as error:
            return error


class CheckItem(pytest.Item):
    """One check of one scenario."""

    parent: ScenarioFile

    def __init__(self, *, check: Any, **arguments: Any):
        super().__init__(**arguments)
        self.check = check

    def runtest(self) -> None:
        """Runs the check; if there is nothing to check, the first one fails and the others are skipped."""
        from runner.errors import describe
        from runner.testing.laws import LAWS
        from runner.testing.results import result_of

        case = self.parent.case
        if isinstance(case, Exception):
            if self.check is not LAWS[0]:
                pytest.skip("the configuration cannot be built")
            raise BrokenLaw(describe(case))
        result = result_of(self.check, case.subject if self.check in LAWS else case)
        if result.outcome == "skipped":
            pytest.skip(result.detail)
        if result.outcome == "failed":
            raise BrokenLaw(f"{result.check}: {result.detail}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns the message alone for a broken law, and a traceback for any other error."""
        return (
            str(excinfo.value)
            if isinstance(excinfo.value, BrokenLaw)
            else super().repr_failure(excinfo, style)
        )

    def reportinfo(self) -> tuple[Path, None, str]:
        """Returns the file and the name that pytest shows."""
        return self.path, None, f"{self.path.stem}: {self.name}"


class BrokenLaw(AssertionError):
    """A check that failed."""
