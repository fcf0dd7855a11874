"""Reads a user's file, or says in one line why not."""

from pathlib import Path


def read(path: str | Path) -> bytes:
    """Gives a file's content.

    Raises:
        ValueError: the file is missing or cannot be read.
    """
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"path: cannot read {path}: {error.strerror}") from None
