"""Datasets of image files."""

from runner.datasets.images.decoding import ENDINGS
from runner.datasets.images.folder import image_folder
from runner.datasets.images.folders import images_below, is_image
from runner.datasets.images.rows import load, read_inputs
from runner.datasets.images.table import image_table

__all__ = ["ENDINGS", "image_folder", "image_table", "images_below", "is_image", "load", "read_inputs"]
