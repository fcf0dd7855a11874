"""The command `runner check`."""

import argparse
import json
import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from runner.errors import CheckFailed

STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"runner check: {message}")


def check(*words: str) -> None:
    """Checks a configuration before a long run.

    It examines the scenario by short runs in a temporary directory, kills and resumes one of them, and estimates what
    the run will cost. The exit code is 1 if a check failed.
    """
    parser = _Parser(prog="runner check", add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args(words)
    from runner.compose.command_line import compose
    from runner.testing.configuration import Configuration

    case = Configuration(compose(options.settings, [options.config_dir] if options.config_dir else []))
    console, results = Console(highlight=False, soft_wrap=True), []
    for result in case.results():
        results.append(result)
        if not options.json:
            line = Text(f"{result.outcome:8} ", STYLES[result.outcome]).append(result.check, "default")
            console.print(line.append(f": {result.detail}" if result.detail else "", "default"))
    if options.json:
        json.dump([result._asdict() for result in results], sys.stdout, indent=2)
        print()
    failed = [result.check for result in results if result.outcome == "failed"]
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(results)} checks failed: {'; '.join(failed)}")
