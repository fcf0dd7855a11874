"""Where batches come from."""

from runner.datasets.bundled import breast_cancer, diabetes, digits, iris, wine
from runner.datasets.curves import line, quadratic
from runner.datasets.first_batch import FirstBatch
from runner.datasets.mixtures import grid, ring
from runner.datasets.mnist import mnist
from runner.datasets.npz import npz
from runner.datasets.sources import Arrays, Sampler
from runner.datasets.streams import Stream
from runner.datasets.tables import csv, read_rows

__all__ = [
    "Arrays",
    "FirstBatch",
    "Sampler",
    "Stream",
    "breast_cancer",
    "csv",
    "diabetes",
    "digits",
    "grid",
    "iris",
    "line",
    "mnist",
    "npz",
    "quadratic",
    "read_rows",
    "ring",
    "wine",
]
