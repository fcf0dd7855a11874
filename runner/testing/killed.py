"""A program that trains the run of a configuration, and kills itself after its first checkpoint is complete."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from runner.core import Figures, Metrics
from runner.process.compile_cache import keep_compiled_programs


class Killer:
    """A writer that ends the process by SIGKILL at the first record after a step, once this step is saved."""

    def __init__(self, directory: Path, step: int):
        from runner.storage.checkpoints import Checkpoints

        self._checkpoints, self._step = Checkpoints(directory / "checkpoints"), step

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Kills the process if the step is later."""
        if step > self._step:
            while (self._checkpoints.newest() or 0) < self._step:  # a thread saves it
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        """Does nothing."""


def main(config: str, directory: str, step: str) -> None:
    """Trains the run of a configuration file, and dies."""
    keep_compiled_programs()
    from runner.runs.training import Training

    path = Path(directory)
    Training(json.loads(Path(config).read_text(encoding="utf-8"))).run(
        path, lambda *_: Killer(path, int(step))
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
