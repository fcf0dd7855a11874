"""Standard output and standard error that never fail: output that nobody can read does not stop a run."""

import errno
import io
import os
import sys
from typing import TextIO


class Unfailing(io.FileIO):
    """A stream that drops what cannot be written, because the disk is full or the terminal or the reader is gone.

    Attributes:
        error: the first error, or None.
    """

    error: OSError | None = None

    def write(self, content) -> int:
        """Writes bytes, or drops them."""
        try:
            written = super().write(content)
        except OSError as error:
            written, self.error = None, self.error or error
        return len(content) if written is None else written


def replace_streams() -> None:
    """Replaces `sys.stdout` and `sys.stderr` by such streams; what their encoding lacks is written as its code.

    Closed descriptors are opened as /dev/null: the next file that is opened would have their number, and receive what
    libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    sys.stdout, sys.stderr = _unfailing(sys.stdout, 1), _unfailing(sys.stderr, 2)


def refuse_lost() -> None:
    """Checks that what was printed was written; for commands whose result it is.

    A reader that has exited, such as `head`, has read what it wanted.

    Raises:
        OSError: something was not written.
    """
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, Unfailing):
        sys.stdout.flush()
        if raw.error is not None and raw.error.errno != errno.EPIPE:
            raise OSError(f"standard output: {raw.error.strerror}; what was printed is lost")


def _unfailing(stream: TextIO | None, number: int) -> TextIO:
    """Returns a stream like the given one, which is None if the descriptor was closed when Python started."""
    return io.TextIOWrapper(
        io.BufferedWriter(Unfailing(number, "wb", closefd=False)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=getattr(stream, "line_buffering", False),
        write_through=getattr(stream, "write_through", False),
    )
