"""Reading a user's files, with errors of one line."""

from pathlib import Path

from runner.process import files
from runner.process.memory import total_memory


class TooLarge(ValueError):
    """A file that would unpack to more than all memory."""


def read(path: str | Path) -> bytes:
    """Returns the content of a file.

    Raises:
        ValueError: the file is missing, cannot be read, is a pipe or a device, or takes more than all memory.
    """
    try:
        return files.read(Path(path).expanduser(), total_memory())
    except OSError as error:
        raise ValueError(f"path: cannot read {path}: {error.strerror}") from None
    except UnicodeEncodeError:  # a name that the locale lacks, which the command explains
        raise
    except ValueError as error:
        raise ValueError(f"path: {error}") from None


def refuse_beyond_memory(path: str | Path, size: int) -> None:
    """Raises TooLarge for a small file that says that it unpacks to more bytes than there are of memory."""
    memory = total_memory()
    if size > memory:
        raise TooLarge(
            f"path: {path} unpacks to {size / 1e9:.3g} GB; there are {memory / 1e9:.3g} GB of memory"
        )
