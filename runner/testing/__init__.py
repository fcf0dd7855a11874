"""Checks for users' own parts: that a scenario follows the laws, and that nets, data and writers do what runs need."""

from typing import TYPE_CHECKING

from runner import lazy_names

if TYPE_CHECKING:
    from runner.testing.parts import check_dataset, check_evaluator, check_net, check_writer
    from runner.testing.results import Result
    from runner.testing.scenario import check_configuration, check_scenario

__all__ = [
    "Result",
    "check_configuration",
    "check_dataset",
    "check_evaluator",
    "check_net",
    "check_scenario",
    "check_writer",
]

__getattr__, __dir__ = lazy_names(__name__, __all__, ["results", "parts", "scenario"])
