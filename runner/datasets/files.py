"""Reading a user's files, with errors of one line."""

from pathlib import Path


def read(path: str | Path) -> bytes:
    """Returns the content of a file.

    Raises:
        ValueError: the file is missing or cannot be read.
    """
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"path: cannot read {path}: {error.strerror}") from None
