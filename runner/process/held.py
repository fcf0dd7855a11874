"""Directories that this process writes to: whether their paths still lead to them."""

import contextlib
import os
import shutil
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
    if (folder := gone(path)) is not None:
        raise OSError(
            f"{folder}: the run directory is gone: it was renamed, deleted or replaced, and nothing more is"
            " written; resume it under its new name, or start again"
        )


def clear_gone(directory: Path, drafts: str) -> None:
    """Does as `refuse_gone`, and first removes what a library that does not ask has created at the old path since.

    Args:
        directory: where it may have created something.
        drafts: the pattern of the names in the directory that are its own.

    Raises:
        OSError: as for `refuse_gone`.
    """
    if (top := gone(directory)) is not None:
        for draft in directory.glob(drafts):
            shutil.rmtree(draft, ignore_errors=True)
        with contextlib.suppress(OSError):  # a folder that is not empty is somebody's
            for folder in (directory, *directory.parents):
                folder.rmdir()
                if folder == top:
                    break
    refuse_gone(directory)


def gone(path: Path) -> Path | None:
    """Returns the outermost held directory, above a path or at it, that was renamed, deleted or replaced, or None."""
    path = path.absolute()
    watched = [folder for folder in (*reversed(path.parents), path) if folder in _held]
    return next((folder for folder in watched if not _leads_to(folder, _held[folder])), None)


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
