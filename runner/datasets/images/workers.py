"""Processes that decode images, because threads would wait for Python's lock at small ones."""

import contextlib
import marshal
import math
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from runner.datasets.images import decoding
from runner.datasets.images.decoding import Form

AT_ONCE = 64  # images of a request at most


class Workers:
    """Decodes images in as many processes as there are workers, or in a thread of this process if there is one.

    What is returned does not depend on the number of workers. A process starts when it is needed first, and ends with
    this object or with the process that started it.

    Args:
        count: the number of workers.

    Attributes:
        processes: those that have started.
    """

    def __init__(self, count: int):
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="images")
        self.count, self._own, self.processes = count, threading.local(), []
        weakref.finalize(self, _end, self._threads, self.processes)

    def begin(self, what: str, files: Sequence[str], form: Form) -> Callable[[], list]:
        """Starts to read files, and returns a function that waits for the results: "pixels" or "depths".

        Raises:
            ChildProcessError: a process ended, as when the system has no memory left.
        """
        length = max(1, min(AT_ONCE, math.ceil(len(files) / self.count)))
        parts = [files[start : start + length] for start in range(0, len(files), length)]
        ask = self._request if self.count > 1 else _answer
        asked = [self._threads.submit(ask, what, part, form) for part in parts]
        return lambda: [result for part in asked for result in part.result()]

    def _request(self, what: str, files: Sequence[str], form: Form) -> list:
        process = self._process()
        asks, answers = process.stdin, process.stdout
        assert asks
        assert answers
        try:
            marshal.dump((what, [os.path.abspath(file) for file in files], tuple(form)), asks)
            asks.flush()
            return marshal.load(answers)
        except (OSError, EOFError, ValueError, TypeError):  # no answer, or half of one
            raise ChildProcessError(
                f"a process that decodes images ended (exit code {process.wait()}) at one of {', '.join(files)}"
            ) from None

    def _process(self) -> subprocess.Popen:
        """Returns the process of this thread.

        It has a session of its own, so that what ends the session of this process lets the run save its state first.
        """
        if not hasattr(self._own, "process"):
            command = [sys.executable, "-P", decoding.__file__]
            pipe = subprocess.PIPE
            self._own.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
            )
            self.processes.append(self._own.process)
        return self._own.process


def _answer(what: str, files: Sequence[str], form: Form) -> list:
    return decoding.ANSWERS[what](files, form)


def _end(threads: ThreadPoolExecutor, processes: list[subprocess.Popen]) -> None:
    # Without waiting for the threads, which cannot be waited for while Python shuts down.
    threads.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
        with contextlib.suppress(BrokenPipeError), process:  # which closes its pipes and waits for its end
            pass
