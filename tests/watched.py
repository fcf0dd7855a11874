"""Calls commands in this process, and records what an audit hook sees of each."""

import contextlib
import encodings.cp437  # noqa: F401  (zipfile's)
import io
import os
import sys

from runner.cli import main
from runner.datasets.images import decoding

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {  # events with the number of paths that begin their details
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
}
OTHERS = {
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "webbrowser.open"),
    *("socket.connect", "socket.getaddrinfo", "socket.sendto", "pickle.find_class", "ctypes.dlopen"),
}
DECODER = ["-P", decoding.__file__]


class Watch:
    """What commands do beside reading: what they import and run, what they write, and where they connect to.

    Args:
        folder: code in it counts as foreign. Imports count if nothing has imported the package before.
    """

    def __init__(self, folder):
        self._folder, self._writable, self._seen = str(folder), None, None
        self._known = {name.partition(".")[0] for name in sys.modules}
        sys.addaudithook(self._hear)

    def call(self, words, writable=()):
        """Returns exit code, output, errors, and what was done; `writable` are folders that may be written to."""
        self._writable, self._seen = [os.path.realpath(folder) for folder in writable], []
        try:
            return (*call(words), self._seen)
        finally:
            self._seen = None

    def _hear(self, event, details):
        seen, self._seen = self._seen, None  # what this does is not heard
        if seen is not None and self._is_deed(event, details):
            seen.append(f"{event} {details}"[:500])
        self._seen = seen

    def _is_deed(self, event, details):
        if event == "open":
            path, mode, flags = details
            is_write = set("wax+") & set(mode or "") or (flags or 0) & WRITES
            return is_write and not isinstance(path, int) and not self._may_write(path, -1)
        if event in CHANGES:
            paths = details[: CHANGES[event]]
            descriptors = [each for each in details[CHANGES[event] :] if isinstance(each, int)][-1:] or [-1]
            return not all(self._may_write(path, descriptors[0]) for path in paths)
        if event == "import":
            return details[0].partition(".")[0] not in self._known
        if event == "exec":
            return getattr(details[0], "co_filename", "").startswith(self._folder)
        if event == "subprocess.Popen":
            return list(details[1][1:]) != DECODER  # which only decodes images
        return event in OTHERS

    def _may_write(self, path, descriptor):
        """Returns whether a path, relative to an open folder if it is one, is writable; its links are followed."""
        if isinstance(path, int):
            return False
        start = os.getcwd() if descriptor < 0 else os.readlink(f"/proc/self/fd/{descriptor}")
        parent, name = os.path.split(os.path.join(start, os.fsdecode(path)))
        place = os.path.join(os.path.realpath(parent), name)
        return place == os.devnull or any(place.startswith(folder) for folder in self._writable)


def call(words):
    """Runs a command and returns its exit code, its output and its errors."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main(words)
        except SystemExit as stopped:
            return stopped.code, output.getvalue(), errors.getvalue()
    return 0, output.getvalue(), errors.getvalue()
