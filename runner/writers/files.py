"""Files that are whole at any instant."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Writes a file such that whoever reads it, even after a kill, finds all of the old or all of the new."""
    draft = path.with_name(f".{path.name}.tmp")
    with open(draft, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
