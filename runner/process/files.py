"""Files that are whole at any instant, and on the disk."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Writes a file such that whoever reads it, even after a cut of the power, finds all of the old or of the new."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(content)
    sync(draft)
    os.replace(draft, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
