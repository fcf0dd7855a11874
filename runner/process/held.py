"""Directories that this process writes to: whether their paths still lead to them."""

import os
from pathlib import Path

_held: dict[
    Path, int
] = {}  # an open descriptor of each, so that the system gives its number to no other directory


def hold(directory: Path) -> None:
    """Begins to watch a directory, which exists."""
    _held[directory.absolute()] = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)


def release(directory: Path) -> None:
    """Ends what `hold` began."""
    os.close(_held.pop(directory.absolute()))


def refuse_gone(path: Path) -> None:
    """Checks that a path does not lie in a held directory that was renamed, deleted or replaced.

    Raises:
        OSError: it does; what is written to the path would be lost, or would spoil another directory.
    """
    path = path.absolute()
    for folder in (path, *path.parents):
        if folder in _held and not _leads_to(folder, _held[folder]):
            raise OSError(
                f"{folder}: the run directory is gone: it was renamed, deleted or replaced, and nothing more is"
                " written; resume it under its new name, or start again"
            )


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
