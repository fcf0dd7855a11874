"""Rows of an array in a file, each read when it is asked for."""

import os
import weakref
from pathlib import Path

import numpy as np


class FileRows:
    """The rows of an array in a `.npy` file, each read when it is asked for.

    The file is not mapped into memory: pages of a mapping count as memory of the process, and a file that becomes
    shorter would end the process without a message.

    Args:
        path: the file.
        setting: the name of the setting in messages.

    Raises:
        ValueError: the file is missing, damaged, or holds something else.
    """

    def __init__(self, path: str | Path, setting: str):
        self.name = f"{setting}: {path}"
        try:
            mapped = np.load(Path(path).expanduser(), mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise ValueError(f"{setting}: cannot read {path}: {error.strerror or error}") from None
        except (ValueError, EOFError) as error:
            raise ValueError(f"{self.name} is not a whole .npy file of numbers: {error}") from None
        if not isinstance(mapped, np.memmap):
            raise ValueError(
                f"{self.name} is an archive, of which no part can be read; save each array by np.save"
            )
        if mapped.dtype.kind not in "biuf" or not mapped.size:
            raise ValueError(
                f"{self.name} holds {mapped.dtype} of shape {mapped.shape}; need rows of numbers"
            )
        if not mapped.flags.c_contiguous:
            raise ValueError(f"{self.name} is stored by columns; save np.ascontiguousarray(array)")
        self.shape, self.dtype, self._offset = mapped.shape, mapped.dtype, mapped.offset
        self._bytes = mapped.nbytes // len(mapped)
        self._file = os.open(str(mapped.filename), os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the rows of some numbers: [N, ...].

        Raises:
            ValueError: the file has become shorter.
        """
        rows = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        content = rows.reshape(-1).view(np.uint8).data
        ends = [*(np.flatnonzero(np.diff(numbers.astype(np.int64)) != 1) + 1).tolist(), len(numbers)]
        start = 0
        for end in ends:  # of runs of consecutive rows, each of which is one read
            wanted = content[start * self._bytes : end * self._bytes]
            position = self._offset + int(numbers[start]) * self._bytes
            if _read_into(self._file, wanted, position) < len(wanted):
                raise ValueError(f"{self.name} has become shorter while it was read, at row {numbers[start]}")
            start = end
        return rows


def _read_into(file: int, content: memoryview, position: int) -> int:
    """Fills memory from a file, and returns the number of bytes: fewer than wanted only at the end of the file."""
    done = 0
    while done < len(content) and (size := os.preadv(file, [content[done:]], position + done)):
        done += size
    return done
