"""The settings of datasets of image files."""

import dataclasses

from runner.core.bounds import Bound, at_most, count, one_of, require
from runner.datasets.images.decoding import MODES, Form

LARGEST_SIZE = 8192  # pixels per side
grey_or_colours = Bound(lambda value: value in MODES, "{value} is neither 1 (grey) nor 3 (colours)")
not_too_large = at_most(LARGEST_SIZE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """What becomes of image files, in the same words for folders and tables of them.

    Attributes:
        path: the folder, or the table.
        size: height and width in pixels.
        channels: 3, or 1 for grey.
        batch_size: images per batch.
        split_seed: seed of the split, and of the order of the training images, which changes every epoch.
        validation: fraction of the training images for validation, if the folder has no part for it.
        test: fraction of the training images for testing, if the folder has no part for it.
        workers: number of processes that decode images; the batches do not depend on it.
        draft: whether a JPEG is decoded at a smaller scale, which is faster and changes its pixels slightly.
        labels: of a folder. "folders": the folders directly below the path, or below its parts, are the classes, and
            images beside them are ignored. "none": all images are data without classes. "earlier": the rules of runs
            that were saved without this setting, which know no parts, and keep the upper 8 of 16 bits.
        image: of a table, the column of the images.
        target: of a table, the column to predict, or None for images without targets.
        folder: of a table, where the images are; None for the folder of the table.
        task: of a table, "classification", "regression", or None: classification if the target holds texts, or whole
            numbers with at most 32 distinct values.
    """

    path: str
    size: int = 64
    channels: int = 3
    batch_size: int = 64
    split_seed: int = 0
    validation: float = 0.1
    test: float = 0.1
    workers: int = 4
    draft: bool = False
    labels: str = "folders"
    image: str = "image"
    target: str | None = None
    folder: str | None = None
    task: str | None = None

    def __post_init__(self):
        require(self, size=count, channels=grey_or_colours, batch_size=count, workers=count)
        require(self, size=not_too_large, labels=one_of("folders", "none", "earlier"))

    @property
    def form(self) -> Form:
        """What each image becomes, if it has 8 bits."""
        return Form(self.size, self.channels, draft=self.draft)
