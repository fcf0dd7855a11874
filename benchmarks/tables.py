"""Measures how long tables take to read, next to polars alone; both take turns, and the medians are compared.

    python benchmarks/tables.py [--repeats 5] [--scale 1.0]

A *reading* opens the file, finds out how it writes numbers, checks all cells, and returns features in float32. A
*dataset* is the whole part: it also splits the rows, computes their statistics and puts them on the device.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from runner.datasets import csv
from runner.datasets.tables.cells import interpret
from runner.datasets.tables.schema import Encoder, fit
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table_file import read_table

SHAPES = {"1,000,000 x 10": (10**6, 10), "1,000 x 5,000": (10**3, 5000)}


def write(path: Path, rows: int, columns: int, missing: float) -> None:
    """Writes a table of random numbers and a target of two classes, in which a share of the cells is empty."""
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(rows, columns - 1)).round(6)
    frame = pl.DataFrame(numbers, [f"c{index}" for index in range(columns - 1)])
    gaps = pl.DataFrame(generator.random((rows, columns - 1)) < missing, frame.columns)
    frame = frame.select(pl.when(~gaps[name]).then(pl.col(name)).alias(name) for name in frame.columns)
    frame.with_columns(y=pl.Series(generator.integers(0, 2, rows))).write_csv(path)


def read(path: Path) -> np.ndarray:
    """Returns the features of a table."""
    settings = TableSettings(path=str(path), target="y", missing="mean")
    table = read_table(str(path))
    cells = interpret(table, table.header)
    features = [name for name in table.header if name != "y"]
    return Encoder(cells, fit(cells, features, np.arange(cells.size), settings)).x


def seconds(call: Callable[[], object]) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(path: Path, repeats: int) -> dict[str, list[float]]:
    """Returns the times of each way to read a file, which take turns."""
    ways = {
        "polars": lambda: pl.read_csv(path),
        "reading": lambda: read(path),
        "dataset": lambda: csv(str(path), "y", missing="mean", stratify=True, unseen="replace", rules=2),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            times[name].append(seconds(way))
    return {name: found[1:] for name, found in times.items()}  # the first round warms up


def main() -> None:
    """Prints a row of Markdown for each table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    arguments = parser.parse_args()
    print("| table | polars, s | reading, s | dataset, s |\n| --- | --- | --- | --- |")
    for title, (rows, columns) in SHAPES.items():
        for missing in (0.0, 0.04):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "table.csv"
                write(path, max(100, round(rows * arguments.scale)), columns, missing)
                times = measure(path, arguments.repeats)
            ratios = {
                name: statistics.median(a / b for a, b in zip(found, times["polars"], strict=True))
                for name, found in times.items()
            }
            cells = [f"{statistics.median(found):.2f} ({ratios[name]:.2f})" for name, found in times.items()]
            print(f"| {title}, {100 * missing:.0f} % missing | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
