"""Building blocks of scenarios: their protocol, specs, nets, statistics, averages and named leaves."""

from typing import TYPE_CHECKING

from runner import lazy_names

if TYPE_CHECKING:
    from runner.core.declarations import Metric, maximized, minimized, undirected
    from runner.core.leaves import PyTree, begins, copy, listed, named_leaves, refuse_unknown_names
    from runner.core.lifting import Net, NetLike, lift
    from runner.core.nets import (
        TrainState,
        apply_gradients,
        call,
        create,
        forward,
        infer,
        split_batches,
        update,
        update_jointly,
    )
    from runner.core.protocol import (
        AdversarialLoss,
        Batch,
        Dataset,
        Draw,
        Environment,
        Evaluator,
        Figures,
        Key,
        Likelihood,
        Loss,
        Mean,
        Metrics,
        Optimizer,
        Params,
        Scenario,
        Source,
        State,
        Writer,
    )
    from runner.core.reductions import mean_of_logits, per_example
    from runner.core.spec import Array, Column, Feature, Modes, Spec
    from runner.core.statistics import Statistics

__all__ = [
    "AdversarialLoss",
    "Array",
    "Batch",
    "Column",
    "Dataset",
    "Draw",
    "Environment",
    "Evaluator",
    "Feature",
    "Figures",
    "Key",
    "Likelihood",
    "Loss",
    "Mean",
    "Metric",
    "Metrics",
    "Modes",
    "Net",
    "NetLike",
    "Optimizer",
    "Params",
    "PyTree",
    "Scenario",
    "Source",
    "Spec",
    "State",
    "Statistics",
    "TrainState",
    "Writer",
    "apply_gradients",
    "begins",
    "call",
    "copy",
    "create",
    "forward",
    "infer",
    "lift",
    "listed",
    "maximized",
    "mean_of_logits",
    "minimized",
    "named_leaves",
    "per_example",
    "refuse_unknown_names",
    "split_batches",
    "undirected",
    "update",
    "update_jointly",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    __all__,
    ["declarations", "leaves", "protocol", "reductions", "spec", "statistics", "lifting", "nets"],
)
