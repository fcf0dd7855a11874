"""Bounded reads, and atomic and durable writes, of files."""

import os
import stat
from pathlib import Path

SMALL = 2**24  # bytes; enough for the references of a large repository and for the record of a long run


def replace(path: Path, content: bytes) -> None:
    """Writes a file atomically: a reader sees all of the old or of the new content, even after a power cut."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path) -> str:
    """Returns the text of a regular file of at most 16 MiB.

    Raises:
        ValueError: the path is a pipe, a device or a folder, or the file is longer, or not UTF-8.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block until somebody writes to it
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path}: is not a regular file")
        content = file.read(SMALL + 1)
    if len(content) > SMALL:
        raise ValueError(f"{path}: is longer than {SMALL} bytes")
    return content.decode()
