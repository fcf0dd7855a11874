"""Bounded reads, and atomic and durable writes, of files that may lie in a directory from somebody else."""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runner.process import held

SMALL = 2**24  # bytes; enough for the references of a large repository and for the seal of a large state
LINE = 2**20  # bytes; enough for a record of a thousand members with thirty metrics each


def replace(path: Path, content: bytes) -> None:
    """Writes a file atomically: a reader sees all of the old or of the new content, even after a power cut.

    Neither a link nor another name of an existing file is written through: the file is always a new one.
    """
    replace_by_parts(path, [content])


def replace_by_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Writes a file as `replace` does, from parts of which only one need be in memory at a time."""
    temporary = path.with_name(
        f".{path.name}.{secrets.token_hex(4)}.tmp"
    )  # another command may write it, too
    try:
        with naming(temporary), create(temporary) as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def drafts(path: Path) -> Iterator[Path]:
    """Yields what commands that were killed while they wrote a file have left next to it."""
    return path.parent.glob(f".{path.name}.*tmp")


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Writes files of one folder, which is created if it is missing, as `replace` does.

    Raises:
        ValueError: the folder is a file, or a file is a folder; nothing is written.
    """
    for path in contents:
        if path.parent.exists() and not path.parent.is_dir():
            raise ValueError(f"{path.parent}: is a file, where results are written; move it away")
        if path.is_dir():
            raise ValueError(f"{path}: is a folder, where results are written; move it away")
    for path, content in contents.items():
        make_folder(path.parent)
        replace(path, content)


def make_folder(path: Path) -> None:
    """Creates a folder, and those above it, if they do not exist."""
    held.refuse_gone(path)
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)


def create(path: Path, buffering: int = -1) -> BinaryIO:
    """Opens a new file for writing; what has its name, also a link, is removed before."""
    held.refuse_gone(path)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    return open(descriptor, "wb", buffering)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds a path to errors of the system that name none, such as those of writing to an open file."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def overwrite(path: Path, content: bytes) -> None:
    """Writes a small existing file in place, as the last resort on a full disk; a kill meanwhile damages it.

    Its blocks are already allocated, so that this needs neither space nor an inode.
    """
    held.refuse_gone(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with naming(path), open(descriptor, "wb", buffering=0) as file:
        _refuse_other_names(path, descriptor)
        file.write(content)
        file.truncate()
        os.fsync(descriptor)


def append(path: Path, buffering: int = -1) -> BinaryIO:
    """Opens a file, which is created if it is missing, to append to it.

    Raises:
        ValueError: the path is a link, a pipe or the like, or the file has another name, perhaps in another folder.
    """
    held.refuse_gone(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    try:
        _refuse_other_names(path, descriptor)
    except ValueError:
        os.close(descriptor)
        raise
    return open(descriptor, "ab", buffering)


def _refuse_other_names(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise ValueError(f"{path}: has another name, or is not a regular file; replace it by a copy")


def sync(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, most: float) -> bytes:
    """Returns the content of a regular file of at most `most` bytes.

    Raises:
        ValueError: the path is a pipe, a device or a folder, or the file is longer.
    """
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise ValueError(f"{path}: is longer than {most:.0f} bytes")
        return file.read()


def read_small(path: Path, most: int = SMALL) -> str:
    """Returns the text of a regular file of at most `most` bytes.

    Raises:
        ValueError: the path is a pipe, a device or a folder, or the file is longer, or not UTF-8.
    """
    with _opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path}: is longer than {most} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from None


def read_lines(path: Path) -> Iterator[bytes]:
    """Yields the complete lines of a regular file, without their ends; only one is in memory at a time.

    A last line without an end is left out: it is being written, or was cut by a kill.

    Raises:
        ValueError: the path is a pipe, a device or a folder, or a line has more than LINE bytes.
    """
    with _opened(path) as file:
        number = 0
        while (line := file.readline(LINE + 1)).endswith(b"\n"):
            number += 1
            yield line[:-1]
    if len(line) > LINE:
        raise ValueError(
            f"{path}: line {number + 1} is longer than {LINE} bytes; repair it or restore a copy"
        )


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block until somebody writes to it
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path}: is not a regular file")
    return open(descriptor, "rb")
