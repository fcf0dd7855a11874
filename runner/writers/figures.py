"""Figures of a run, created by matplotlib without pyplot, and with the settings of its installation."""

import io
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.core.declarations import Metric, direction
from runner.process.terminal import escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinguishable with any colour vision (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
BETTER: dict[str | None, str] = {"min": " (lower is better)", "max": " (higher is better)"}
NOTHING: Mapping[str, Metric] = {}
PANELS = 100  # the maximum in a figure of curves
PAIRS = 16  # images in a row of examples, above a row of their reconstructions

_rendering = threading.Lock()  # matplotlib caches fonts and formulas for all threads, without a lock


def png(draw: "Callable[[], Figure]") -> bytes:
    """Draws a figure and returns it encoded as PNG; only one thread draws at a time."""
    content = io.BytesIO()
    with _rendering, _installed_settings():
        draw().savefig(content, format="png")
    return content.getvalue()


@contextmanager
def _installed_settings() -> Iterator[None]:
    """Applies the settings of matplotlib's installation; neither a user's nor those of a folder change a figure.

    At its import matplotlib would read a file `matplotlibrc` of the working directory, and wait if it is a pipe.
    """
    exists = os.path.exists
    os.path.exists = lambda path: path != "matplotlibrc" and exists(path)
    try:
        import matplotlib
    finally:
        os.path.exists = exists
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False  # names of metrics and classes are plain text
        yield


def curves(records: Iterable[Mapping[str, Any]], declared: Mapping[str, Metric] = NOTHING) -> "Figure":
    """Draws every metric of the records over the steps, with training and validation in one panel.

    Args:
        records: `{"step": ..., name: value}`, of which each may lack some names; `validation/<name>` is drawn in the
            panel of `<name>`.
        declared: metrics whose direction the title of their panel shows.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, value in record.items():
            if name not in ("step", "validation/weights"):
                lines.setdefault(name, []).append((record["step"], float(value)))
    members = {name: _members(name, lines) for name in lines}
    own = [name for name in lines if name not in itertools.chain(*members.values())]
    figure, panels = _panel_each(own, declared)
    for name, panel in panels.items():
        for of, color in ((name, BLUE), (f"validation/{name}", ORANGE)):
            for member in members.get(of, ()):
                panel.plot(*zip(*lines[member], strict=True), color=color, linewidth=0.6, alpha=0.5)
        _line(panel, lines.get(name), color=BLUE, label="training")
        _line(
            panel, lines.get(f"validation/{name}"), color=ORANGE, label="validation", marker="o", markersize=3
        )
        if panel.lines:
            panel.legend(frameon=False)
    return figure


def spread(records: Iterable[Mapping[str, Any]], declared: Mapping[str, Metric] = NOTHING) -> "Figure":
    """Draws the metrics of several runs over the steps: the mean, a band of one deviation, and one of the whole range.

    Args:
        records: `{"step": ..., "name/mean": value, "name/std": ..., "name/min": ..., "name/max": ...}`, of
            which each may lack some names; `validation/<name>` is drawn in the panel of `<name>`.
        declared: as in `curves`.
    """
    bands: dict[str, list[tuple[float, ...]]] = {}
    for record in records:
        for name in (key.removesuffix("/mean") for key in record if key.endswith("/mean")):
            values = (float(record[f"{name}/{kind}"]) for kind in ("mean", "std", "min", "max"))
            bands.setdefault(name, []).append((record["step"], *values))
    figure, panels = _panel_each(bands, declared)
    for name, panel in panels.items():
        lines = ((name, BLUE, "training"), (f"validation/{name}", ORANGE, "validation"))
        for of, color, label in lines:
            if of in bands:
                steps, mean, std, least, most = np.array(bands[of]).T
                panel.plot(steps, mean, color=color, linewidth=1.5, label=label)
                panel.fill_between(steps, mean - std, mean + std, color=color, alpha=0.25, linewidth=0)
                panel.fill_between(steps, least, most, color=color, alpha=0.1, linewidth=0)
        if panel.lines:
            panel.legend(frameon=False)
    return figure


def _panel_each(metrics: Iterable[str], declared: Mapping[str, Metric]) -> "tuple[Figure, dict[str, Axes]]":
    """Creates a panel over the steps for each metric, which `validation/<name>` shares with `<name>`."""
    names = list(dict.fromkeys(name.removeprefix("validation/") for name in metrics))[:PANELS] or [""]
    columns = min(3, math.ceil(math.sqrt(len(names))))
    figure, axes = create_panels(math.ceil(len(names) / columns), columns, width=4.2, height=2.9)
    for panel in axes[len(names) :]:
        panel.remove()
    panels = dict(zip(names, axes, strict=False))
    for name, panel in panels.items():
        panel.set(title=escaped(name) + BETTER.get(direction(name, declared), ""), xlabel="step")
    return figure, panels


def _members(name: str, lines: Mapping[str, object]) -> list[str]:
    """Returns the names of the lines of an ensemble's members, which are drawn thin around the line of their mean."""
    names = (f"{name}/{number}" for number in itertools.count())
    return list(itertools.takewhile(lambda member: member in lines, names))


def _line(panel: "Axes", points: list[tuple[int, float]] | None, **style: Any) -> None:
    if points:
        panel.plot(*zip(*points, strict=True), linewidth=1.5, **style)


def confusion(matrix: np.ndarray, labels: Sequence[str] = ()) -> "Figure":
    """Draws a confusion matrix, in percent of each true class.

    Args:
        matrix: [C (true), C (predicted)], counts or shares.
        labels: names of the classes; if empty, their numbers are drawn.
    """
    totals = matrix.sum(1, keepdims=True)
    percent = 100 * np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    names = [escaped(label) for label in labels] or [str(number) for number in range(len(matrix))]
    side = min(9.0, 2.5 + 0.4 * len(matrix))
    figure, (panel,) = create_panels(1, 1, width=side + 0.8, height=side, grid=False)
    image = panel.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=panel, shrink=0.8, label="% of the true class")
    panel.set(title="Confusion", xlabel="predicted class", ylabel="true class")
    if len(names) <= 30:
        is_rotated = max(map(len, names)) > 3
        panel.set_xticks(
            range(len(names)), names, rotation=45 if is_rotated else 0, ha="right" if is_rotated else "center"
        )
        panel.set_yticks(range(len(names)), names)
    if len(names) <= 20:
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.5:
                color = "white" if value > 55 else "black"
                panel.text(column, row, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
    return figure


def fit(x: np.ndarray, y: np.ndarray, prediction: np.ndarray, spread: np.ndarray | None = None) -> "Figure":
    """Draws the predicted curve and the points, all [N], with a band of two spreads if there are any."""
    figure, (panel,) = create_panels(1, 1, width=5.6, height=4)
    order = np.argsort(x)
    panel.scatter(x, y, s=14, color=GREY, alpha=0.6, linewidths=0, label="data")
    panel.plot(x[order], prediction[order], color=BLUE, linewidth=2, label="prediction")
    if spread is not None:
        low, high = prediction - 2 * spread, prediction + 2 * spread
        panel.fill_between(
            x[order], low[order], high[order], color=BLUE, alpha=0.2, linewidth=0, label="±2 deviations"
        )
    panel.set(title="Fit", xlabel="x", ylabel="y")
    panel.legend(frameon=False)
    return figure


def against(target: np.ndarray, prediction: np.ndarray) -> "Figure":
    """Draws predictions over their targets, both [N]; correct ones lie on the line."""
    figure, (panel,) = create_panels(1, 1, width=4.8, height=4.6)
    ends = [min(target.min(), prediction.min()), max(target.max(), prediction.max())]
    panel.plot(ends, ends, color=GREY, linewidth=1, linestyle="--", label="prediction = target")
    panel.scatter(target, prediction, s=14, color=BLUE, alpha=0.5, linewidths=0)
    panel.set(title="Predictions", xlabel="target", ylabel="prediction", aspect="equal")
    panel.legend(frameon=False)
    return figure


def samples(generated: np.ndarray, real: np.ndarray | None = None) -> "dict[str, Callable[[], Figure]]":
    """Returns the figure of samples [N, ...]: points of the plane next to real ones, or images; {} for other shapes."""
    shape = generated.shape[1:]
    if shape == (2,):
        return {"samples": lambda: scatter(real, generated)}
    if len(shape) == 3 and shape[-1] in (1, 3):
        return {"samples": lambda: images(generated[:64])}
    return {}


def reconstructions(x: np.ndarray, again: np.ndarray) -> "Figure":
    """Draws examples [N, ...] and their reconstructions: images in pairs of rows, other shapes against each other."""
    if x.ndim == 4 and x.shape[-1] in (1, 3):
        shown = min(len(x), PAIRS * 4)
        rows = [half[at : min(at + PAIRS, shown)] for at in range(0, shown, PAIRS) for half in (x, again)]
        return images(
            np.concatenate(rows), columns=min(PAIRS, shown), title="Examples, each above its reconstruction"
        )
    if x.shape[1:] == (2,):
        return scatter(x, again)
    return against(x.ravel(), again.ravel())


def texts(lines: Sequence[str]) -> "Figure":
    """Draws generated texts, one below the other."""
    width = 120
    wrapped = [[line[at : at + width] for at in range(0, len(line), width)] for line in lines]
    rows = sum(map(len, wrapped)) + len(lines)
    figure, (panel,) = create_panels(1, 1, width=8.5, height=0.5 + 0.15 * rows, grid=False)
    page = "\n\n".join("\n".join(escaped(part.replace("\n", "⏎")) for part in parts) for parts in wrapped)
    panel.text(0, 1, page, family="monospace", fontsize=8, va="top", transform=panel.transAxes)
    panel.set(title="Samples")
    panel.axis("off")
    return figure


def scatter(real: np.ndarray | None, generated: np.ndarray) -> "Figure":
    """Draws points of the plane, each [N, 2], in the limits of the real ones if there are any."""
    sets = (
        [("Samples", generated, BLUE)]
        if real is None
        else [("Data", real, GREY), ("Samples", generated, BLUE)]
    )
    figure, panels = create_panels(1, len(sets), width=4, height=4.4)
    low, high = sets[0][1].min(0), sets[0][1].max(0)
    margin = 0.15 * (high - low)
    for panel, (title, points, color) in zip(panels, sets, strict=True):
        panel.scatter(*points.T, s=5, color=color, alpha=0.5, linewidths=0)
        panel.set(title=f"{title} ({len(points)})", xlabel="x₁", ylabel="x₂", aspect="equal")
        panel.set_xlim(low[0] - margin[0], high[0] + margin[0])
        panel.set_ylim(low[1] - margin[1], high[1] + margin[1])
    return figure


def images(x: np.ndarray, columns: int | None = None, title: str = "Samples") -> "Figure":
    """Draws up to 128 images [N, H, W, 1 or 3], values in [0, 1], as a grid."""
    x = np.clip(np.asarray(x[:128], np.float32), 0, 1)
    columns = columns or math.ceil(math.sqrt(len(x)))
    rows = math.ceil(len(x) / columns)
    blank = np.ones((rows * columns - len(x), *x.shape[1:]), np.float32)
    framed = np.pad(np.concatenate([x, blank]), ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=1)
    grid = framed.reshape(rows, columns, *framed.shape[1:]).swapaxes(1, 2)
    grid = grid.reshape(rows * framed.shape[1], columns * framed.shape[2], -1)
    figure, (panel,) = create_panels(
        1, 1, width=6, height=6 * grid.shape[0] / grid.shape[1] + 0.4, grid=False
    )
    panel.imshow(grid.squeeze(-1) if grid.shape[-1] == 1 else grid, cmap="gray", vmin=0, vmax=1)
    panel.set(title=title)
    panel.axis("off")
    return figure


def create_panels(
    rows: int, columns: int, *, width: float, height: float, grid: bool = True
) -> "tuple[Figure, list[Axes]]":
    """Creates a figure of panels, each of `width` by `height` inches."""
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width * columns, height * rows), dpi=120, layout="constrained", facecolor="white"
    )
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        if grid:
            panel.grid(color="#DDDDDD", linewidth=0.6)
    return figure, panels
