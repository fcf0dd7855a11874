"""A command-line experiment runner for JAX in which the training algorithm is a part like any other."""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner import (
        core,
        datasets,
        environments,
        evaluators,
        integrators,
        losses,
        metrics,
        nets,
        optimizers,
        scenarios,
        schedules,
        writers,
    )
    from runner.commands.train import train
    from runner.core.declarations import Metric
    from runner.core.nets import TrainState
    from runner.core.protocol import Batch, Dataset, Evaluator, Key, Metrics, Scenario, Source, Writer
    from runner.core.spec import Spec
    from runner.errors import (
        Busy,
        CheckFailed,
        ConfigError,
        InvalidData,
        Misfit,
        NotFinite,
        Occupied,
        RunnerError,
        Stopped,
        StorageError,
        Unreadable,
        Untrusted,
    )
    from runner.loop.loop import Loop
    from runner.process.version import __version__
    from runner.runs.saved_run import Run, open_run
    from runner.storage.checkpoints import Checkpoints

__all__ = [
    "Batch",
    "Busy",
    "CheckFailed",
    "Checkpoints",
    "ConfigError",
    "Dataset",
    "Evaluator",
    "InvalidData",
    "Key",
    "Loop",
    "Metric",
    "Metrics",
    "Misfit",
    "NotFinite",
    "Occupied",
    "Run",
    "RunnerError",
    "Scenario",
    "Source",
    "Spec",
    "Stopped",
    "StorageError",
    "TrainState",
    "Unreadable",
    "Untrusted",
    "Writer",
    "__version__",
    "core",
    "datasets",
    "environments",
    "evaluators",
    "integrators",
    "losses",
    "metrics",
    "nets",
    "open_run",
    "optimizers",
    "scenarios",
    "schedules",
    "train",
    "writers",
]


def lazy_names(
    package: str, names: Sequence[str], modules: Sequence[str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Returns a package's `__getattr__`, which imports its public names at their first use, and its `__dir__`.

    Importing a package is then cheap: a command is checked, and rejected if it is not valid, without importing JAX.

    Args:
        package: the name of the package.
        names: the public names of the package, its `__all__`; some may be modules of the package themselves.
        modules: the modules of the package that define the other names, in the order in which they are searched.
    """

    def attribute(name: str) -> object:
        if name in names:
            if find_spec(f"{package}.{name}"):
                return import_module(f"{package}.{name}")
            for module in modules:
                defined = vars(import_module(f"{package}.{module}"))
                if name in defined:
                    return defined[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute, lambda: sorted(names)


__getattr__, __dir__ = lazy_names(
    __name__,
    __all__,
    [
        "errors",
        "process.version",
        "core.declarations",
        "core.protocol",
        "core.spec",
        "core.nets",
        "loop.loop",
        "storage.checkpoints",
        "runs.saved_run",
        "commands.train",
    ],
)
