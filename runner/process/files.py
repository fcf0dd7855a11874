"""Atomic and durable writes of files."""

import os
from pathlib import Path


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
