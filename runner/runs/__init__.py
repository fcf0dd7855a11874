"""Runs: trains one or several, and opens, replays and compares saved ones."""

from typing import TYPE_CHECKING

from runner import lazy_names

if TYPE_CHECKING:
    from runner.runs.saved_run import Run, features, open_run

__all__ = ["Run", "features", "open_run"]

__getattr__, __dir__ = lazy_names(__name__, __all__, ["saved_run"])
