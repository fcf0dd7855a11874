"""What the ways share: the job, its data and the clock."""

import json
import sys
import time
from collections.abc import Iterator

import numpy as np

BATCH = {"W1": 64, "W2": 256, "W3": 128, "W4": 64}


def batches(work: str, size: int, path: str) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields batches without end: points `[B, 2]` of a ring in W2, else x `[B, ...]` and labels `[B]`."""
    rng = np.random.default_rng(0)
    if work == "W2":
        while True:
            yield (ring(rng, size),)
    x, y = load(work, path)
    while True:
        for rows in rng.permutation(len(x) - len(x) % size).reshape(-1, size):
            yield x[rows], y[rows]


def load(work: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads digits as vectors in W1, else images from the file."""
    if work != "W1":
        with np.load(path) as file:
            return file["x"], file["y"].astype(np.int32)
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y.astype(np.int32)


def ring(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws points of eight Gaussians on a circle."""
    angles = rng.integers(0, 8, size) * np.pi / 4
    points = 2 * np.stack([np.cos(angles), np.sin(angles)], 1) + 0.05 * rng.standard_normal((size, 2))
    return points.astype(np.float32)


class Job:
    """The work that the command line specifies, and the times that are reported back."""

    def __init__(self):
        self.work, steps, self.path, self._out = sys.argv[1:]
        self.steps, self.batch, self._notes = int(steps), BATCH[self.work], []

    def chunk(self, steps: int) -> int:
        """Returns the number of steps per call: a divisor of `steps`, a small one if steps are slow."""
        most = 5 if self.work in ("W3", "W4") else 64
        return max(size for size in range(1, most + 1) if steps % size == 0)

    def tick(self, step: int, loss) -> None:
        """Records the time after the first step, in the middle and at the end; waits for the loss only then."""
        last = self._notes[-1][0] if self._notes else -1
        if last < 0 or last < self.steps // 2 <= step or step == self.steps:
            float(loss)
            self._notes.append((step, time.time()))

    def finish(self, parameters: int) -> None:
        """Writes the times and the number of parameters."""
        with open(self._out, "w") as file:
            json.dump({"notes": self._notes, "parameters": int(parameters)}, file)
