"""The errors that users can see: their classes, exit codes and description in one line.

An error that a part raises deliberately, about a setting or about data, is a `ValueError` from a `raise` statement of
that part: its message describes the error, and is shown unchanged. Any other exception is a fault in code, and is shown
with its type, file and line.
"""

import codecs
import linecache
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import NoReturn, TypeGuard

__all__ = [
    "Busy",
    "ConfigError",
    "InvalidData",
    "Misfit",
    "NotFinite",
    "Occupied",
    "RunnerError",
    "Stopped",
    "StorageError",
    "Unreadable",
    "Untrusted",
    "describe",
    "exit_code",
]

LONGEST = 2000  # characters of a message; a file from somebody else may hold longer texts
OWN = Path(__file__).parent
# Frames of these libraries are skipped when the file and line of a fault are shown, in favor of the caller's code.
LIBRARIES = {"absl", "chex", "flax", "haiku", "hydra", "jax", "jaxlib", "matplotlib", "numpy", "omegaconf"}
LIBRARIES |= {"optax", "orbax", "PIL", "polars", "scipy", "sklearn", "yaml"}


class RunnerError(Exception):
    """The base of the errors of runner; the message is one line that says where and what the error is, and what to do.

    Attributes:
        exit_code: the exit code of a command that ends with this error.
    """

    exit_code = 1


class CheckFailed(RunnerError):
    """A check of `runner check` that failed."""


class ConfigError(RunnerError, ValueError):
    """A command or a configuration that is not valid."""

    exit_code = 2


class Occupied(RunnerError, ValueError):
    """A directory that this run may not use."""

    exit_code = 2


class InvalidData(RunnerError, ValueError):
    """Several problems of a file, each in a line of the message."""

    exit_code = 2


class Untrusted(RunnerError, ValueError):
    """A saved run that contains more than plain data, or names code that is not trusted."""

    exit_code = 2


class Busy(RunnerError, ValueError):
    """A run directory that another process uses for training."""

    exit_code = 3


class StorageError(RunnerError, OSError):
    """A state that could not be saved."""

    exit_code = 4


class NotFinite(RunnerError, ArithmeticError):
    """A loss, or a leaf of the state, that is NaN or infinite.

    Args:
        step: the first step at which the value is not finite, or the step at which this was detected.
        message: the message, which names the value.
    """

    exit_code = 5

    def __init__(self, step: int, message: str):
        super().__init__(step, message)
        self.step, self.message = int(step), message

    def __str__(self) -> str:
        return self.message


class Misfit(RunnerError, ValueError):
    """A checkpoint whose names, shapes or dtypes differ from those of the state that it is restored into."""

    exit_code = 6


class Unreadable(RunnerError, ValueError):
    """A checkpoint that is damaged or incomplete."""

    exit_code = 6


class Stopped(RunnerError):
    """A run that was stopped on request; its state is saved, and it can be resumed."""

    exit_code = 130


def describe(error: BaseException) -> str:
    """Returns an error as one line: its message, or for a fault in code file and line, the type and the message.

    Only several problems of a file have a line each.
    """
    if isinstance(error, InvalidData):
        return str(error)
    message = " ".join(str(error).split())
    if len(message) > LONGEST:  # the end says what to do
        message = f"{message[: LONGEST // 2]} [...] {message[-LONGEST // 2 :]}"
    if _is_of_the_locale(error):
        return f"{error.object}: cannot be named in {error.encoding}, the encoding of this locale; set PYTHONUTF8=1"
    if is_deliberate(error):
        return message
    frame = fault_of(error)
    where = f"{_shown(frame.filename)}:{frame.lineno} in {frame.name}: " if frame else ""
    return f"{where}{type(error).__name__}: {message}"


def runs_failed(count: int, total: int, first: BaseException) -> RunnerError:
    """Returns the error of a command some of whose runs failed, each of which was reported when it ended.

    Args:
        count: the number of runs that failed.
        total: the number of all runs.
        first: the error of one of them, which determines the exit code.
    """
    error = RunnerError(f"{count} of {total} runs failed, for the reasons above")
    error.exit_code, error.__cause__ = exit_code(first), first
    return error


def exit_code(error: BaseException) -> int:
    """Returns the exit code of a command that ends with an error."""
    if isinstance(error, RunnerError):
        return error.exit_code
    if not is_deliberate(error):
        return 1
    return 4 if isinstance(error, OSError) else 2


def is_deliberate(error: BaseException) -> bool:
    """Returns whether the message of an error is meant for users: it was raised deliberately, or by the system."""
    if isinstance(error, RunnerError | OSError) or _is_of_the_locale(error):
        return True
    return isinstance(error, ValueError) and _was_raised(error)


def _is_of_the_locale(error: BaseException) -> TypeGuard[UnicodeEncodeError]:
    """Returns whether a name, of a file for example, has characters that the encoding of the locale lacks."""
    if not isinstance(error, UnicodeEncodeError):
        return False
    encoding = codecs.lookup(sys.getfilesystemencoding())
    return encoding.name != "utf-8" and codecs.lookup(error.encoding) == encoding


def _was_raised(error: BaseException) -> bool:
    """Returns whether the innermost frame is at a `raise` statement outside of the libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or _is_library(frames[-1].filename):
        return False
    text = linecache.getline(frames[-1].filename, frames[-1].lineno or 0).strip()
    return text.startswith("raise ") or text == "raise"


def fault_of(error: BaseException) -> traceback.FrameSummary | None:
    """Returns the innermost frame of a user's code, or otherwise of runner, in which an error occurred."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(OWN)]
    return (own or frames or [None])[-1]


def is_in_users_code(error: BaseException) -> bool:
    """Returns whether an error occurred in a user's code: not in that of runner or of a library."""
    frame = fault_of(error)
    return frame is not None and not Path(frame.filename).is_relative_to(OWN)


def blame(part: str, error: Exception) -> NoReturn:
    """Raises the error of a part, or if it occurred in a library one that names the part."""
    is_not_finite = isinstance(error, FloatingPointError)  # found by `jax_debug_nans`, as in a replay
    if is_deliberate(error) or is_in_users_code(error) or is_not_finite:
        raise error
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    raise ConfigError(f"{part} does not work here, take another ({reason:.300})") from error


def _is_library(filename: str) -> bool:
    path = Path(filename)
    for root in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        if path.is_relative_to(root):
            return path.relative_to(root).parts[0].removesuffix(".py") in LIBRARIES
    return filename.startswith("<") or path.is_relative_to(sysconfig.get_path("stdlib"))


def _shown(filename: str) -> str:
    """Returns the shortest name of a file, relative to the working directory or a folder of imports, or absolute."""
    path = Path(filename)
    roots = [os.getcwd(), *(folder for folder in sys.path if folder)]
    names = [str(path.relative_to(root)) for root in roots if path.is_relative_to(root)]
    return min([filename, *names], key=len)
