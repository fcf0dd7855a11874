"""Datasets and the sources of their batches."""

from runner.datasets.augmented import Augmented
from runner.datasets.bundled import breast_cancer, diabetes, digits, iris, wine
from runner.datasets.curves import line, quadratic
from runner.datasets.first_batch import FirstBatch
from runner.datasets.images import image_folder, image_table
from runner.datasets.markov import markov
from runner.datasets.mixtures import grid, mog16, ring
from runner.datasets.mnist import mnist
from runner.datasets.nothing import nothing
from runner.datasets.npz import npz, read_inputs
from runner.datasets.pipelines.grain import grain
from runner.datasets.pipelines.hf import hf, hf_streaming
from runner.datasets.pipelines.iterables import stream
from runner.datasets.pipelines.memmap import memmap
from runner.datasets.pipelines.tfds import tfds
from runner.datasets.pipelines.torch import torch
from runner.datasets.pipelines.webdataset import webdataset
from runner.datasets.rows import Rows
from runner.datasets.sources import Arrays, Sampler
from runner.datasets.streams import Stream
from runner.datasets.tables import TableSettings, csv, parquet, read_rows
from runner.datasets.text import text
from runner.datasets.windows import Windows

__all__ = [
    "Arrays",
    "Augmented",
    "FirstBatch",
    "Rows",
    "Sampler",
    "Stream",
    "TableSettings",
    "Windows",
    "breast_cancer",
    "csv",
    "diabetes",
    "digits",
    "grain",
    "grid",
    "hf",
    "hf_streaming",
    "image_folder",
    "image_table",
    "iris",
    "line",
    "markov",
    "memmap",
    "mnist",
    "mog16",
    "nothing",
    "npz",
    "parquet",
    "quadratic",
    "read_inputs",
    "read_rows",
    "ring",
    "stream",
    "text",
    "tfds",
    "torch",
    "webdataset",
    "wine",
]
