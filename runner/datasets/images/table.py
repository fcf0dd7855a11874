"""A user's own images, named by the rows of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.core import Dataset
from runner.datasets.checks import as_floats, report
from runner.datasets.files import read
from runner.datasets.images.assembly import Rows, assembled
from runner.datasets.images.settings import ImageSettings
from runner.datasets.tables.settings import TableSettings

if TYPE_CHECKING:  # polars is imported when a table is read
    from runner.datasets.tables.table import Table


def image_table(
    path: str,
    image: str = "image",
    target: str | None = "label",
    folder: str | None = None,
    task: str | None = None,
    size: int = 64,
    channels: int = 3,
    batch_size: int = 64,
    split_seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    workers: int = 4,
    draft: bool = False,
) -> Dataset:
    """Streams the images that a table names, each cut to its central square and resized.

    They are x [B, size, size, channels] in [0, 1]. The target becomes classes y [B], or targets of a regression y
    [B, 1]. An image that cannot be read is logged, and replaced by the next one in the order. `ImageSettings` describes
    the settings.

    Raises:
        ValueError: the table cannot be read, it has no such column, a cell of it is empty, an image is not there, or a
            setting is out of its range.
    """
    settings = ImageSettings(**locals())
    rows, labels = _rows(settings)
    return assembled({"train": rows}, labels, settings)


def _rows(settings: ImageSettings) -> tuple[Rows, Sequence[str]]:
    """Returns the rows of a table, and the names of the classes."""
    from runner.datasets.tables.cells import interpret
    from runner.datasets.tables.csv_file import read_csv
    from runner.datasets.tables.targets import read_targets

    path, image, target = settings.path, settings.image, settings.target
    table = read_csv(path, read(path))
    names = {"image": image} | ({} if target is None else {"target": target})
    for setting, name in names.items():
        if name not in table.header:
            raise ValueError(f"{setting}: {path} has no column {name!r}; it has {', '.join(table.header)}")
    cells = interpret(table, list(names.values()), as_texts=[image])
    _refuse_gaps(table, cells, names.values())
    base = Path(path).expanduser().parent if settings.folder is None else Path(settings.folder).expanduser()
    files = _found(table, image, cells.texts[image].to_list(), base)
    if target is None:
        return Rows(files, None, [""] * len(files)), ()
    y, labels, _ = read_targets(cells, TableSettings(path=path, target=target, task=settings.task, rules=1))
    y = y if labels else as_floats(target, y)
    return Rows(files, y, [labels[each] if labels else repr(each.tolist()) for each in y]), labels


def _refuse_gaps(table: "Table", cells, names) -> None:
    from runner.datasets.tables.table import Problem

    problems = list(cells.misfits)
    for name in names:
        column = cells.column(name)
        gaps = np.isnan(column) if isinstance(column, np.ndarray) else column.is_null().to_numpy()
        problems += [Problem(name, int(gaps.argmax()), "fill it or remove the row")] if gaps.any() else []
    if problems:
        raise ValueError(table.describe(problems[:1])[0])


def _found(table: "Table", image: str, names: Sequence[str], base: Path) -> list[Path]:
    """Returns the files that a column names.

    Raises:
        ValueError: one of them is not there.
    """
    from runner.datasets.tables.table import Problem

    files = [base / name for name in names]
    absent = [row for row, file in enumerate(files) if not file.is_file()]
    if absent:
        need = f"there is no file {files[absent[0]]} ({len(absent)} of {len(files)} rows; dataset.folder= says where)"
        raise ValueError(table.describe([Problem(image, absent[0], need)])[0])
    if len(set(files)) < len(files):
        report(
            f"warning: {image}: {len(files) - len(set(files))} rows of {table.path} name an image of another row, so"
            " that training and held-out rows may share images"
        )
    return files
