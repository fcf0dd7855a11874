"""A command-line experiment runner for JAX in which the training algorithm is a part like any other."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.loop.loop import Loop
    from runner.runs.saved_run import Run, open_run

__all__ = ["Loop", "Run", "open_run"]


def lazy_attributes(package: str, names: Sequence[str], modules: Sequence[str]) -> Callable[[str], Any]:
    """Returns a package's `__getattr__`, which imports the public names of the package at their first use.

    Importing a package is then cheap: a command is checked, and rejected if it is not valid, without importing JAX.

    Args:
        package: the name of the package.
        names: the public names of the package, its `__all__`.
        modules: the modules of the package that define these names.
    """

    def attribute(name: str) -> Any:
        if name in names:
            for module in modules:
                defined = vars(import_module(f"{package}.{module}"))
                if name in defined:
                    return defined[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute


__getattr__ = lazy_attributes(__name__, __all__, ["loop.loop", "runs.saved_run"])
