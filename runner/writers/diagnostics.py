"""Figures that show where predictions are wrong."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runner.process.terminal import escaped
from runner.writers.figures import BLUE, GREY, create_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 40  # classes in a table
TARGETS = 9  # panels of residuals


def reliability(confidence: np.ndarray, accuracy: np.ndarray, share: np.ndarray) -> "Figure":
    """Draws accuracy over confidence, both [bins], and the share of the examples in each bin.

    Calibrated predictions lie on the line; those below it are too confident.
    """
    figure, (panel, below) = create_panels(2, 1, width=4.8, height=3)
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="accuracy = confidence")
    panel.plot(confidence, accuracy, color=BLUE, linewidth=1.5, marker="o", markersize=4)
    panel.set(title="Reliability", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    panel.legend(frameon=False)
    below.bar(confidence, 100 * share, width=0.03, color=BLUE)
    below.set(xlabel="confidence", ylabel="% of the examples", xlim=(0, 1))
    return figure


def classes(columns: Mapping[str, np.ndarray], labels: Sequence[str] = ()) -> "Figure":
    """Draws a table with a row for each class, the first forty.

    Args:
        columns: name -> values of the classes [C]; whole numbers are counts, others shares.
        labels: names of the classes; if empty, their numbers are drawn.
    """
    count = min(len(next(iter(columns.values()))), ROWS)
    names = [escaped(label) for label in labels[:count]] or [str(number) for number in range(count)]
    cells = [
        [f"{value:d}" if isinstance(value, np.integer) else f"{value:.3f}" for value in row]
        for row in zip(*(values[:count] for values in columns.values()), strict=True)
    ]
    figure, (panel,) = create_panels(1, 1, width=5.6, height=0.9 + 0.25 * count, grid=False)
    panel.table(cells, rowLabels=names, colLabels=list(columns), loc="center").scale(1, 1.3)
    panel.set(title="Classes")
    panel.axis("off")
    return figure


def residuals(prediction: np.ndarray, residual: np.ndarray, names: Sequence[str]) -> "Figure":
    """Draws residuals (target - prediction) over predictions, both [N, K], in a panel for each of nine targets."""
    names = names[:TARGETS]
    figure, panels = create_panels(1, len(names), width=4.4, height=3.6)
    for panel, name, across, up in zip(panels, names, prediction.T, residual.T, strict=False):
        panel.axhline(0, color=GREY, linewidth=1, linestyle="--")
        panel.scatter(across, up, s=14, color=BLUE, alpha=0.5, linewidths=0)
        panel.set(title=f"Residuals of {escaped(name)}", xlabel="prediction", ylabel="target - prediction")
    return figure
