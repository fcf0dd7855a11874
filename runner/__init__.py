"""A command-line experiment runner for JAX in which the training algorithm is a part like any other."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.loop import Loop
    from runner.run import Run, open_run

__all__ = ["Loop", "Run", "open_run"]

_HOMES = {"Loop": "runner.loop", "Run": "runner.run", "open_run": "runner.run"}


def __getattr__(name):
    """Imports the part at its first use, so that `import runner` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
