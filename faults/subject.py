"""What the faults are tried on: a small state that tells, bit by bit, which step it is of."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from runner.storage.checkpoints import Checkpoints


def state(step: int) -> dict[str, Any]:
    """Gives the state of a step: a matrix, a bias and a key."""
    random = np.random.default_rng(step)
    matrix, bias = random.normal(size=(32, 16)).astype(np.float32), random.normal(size=16).astype(np.float32)
    return {
        "net": {"w": jax.numpy.asarray(matrix), "b": jax.numpy.asarray(bias)},
        "key": jax.random.key(step),
    }


def extra(step: int) -> dict[str, Any]:
    """Gives what else is saved at a step."""
    return {"rows": [[step, 0.1 * step]]}


def save(directory: Path, *steps: int, told: Any = None) -> None:
    """Saves steps, one after the other; the first is the best."""
    with contextlib.closing(Checkpoints(directory, told=told)) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), extra(step), step)


def load(directory: Path) -> tuple[int | None, list[str]]:
    """Restores the newest step that is whole, in a reader of its own, and compares all bits.

    Returns:
        The step, or None where there is none; and the warnings.

    Raises:
        Silent: what was restored is not what was saved, and nobody said so.
        Unreadable: steps are there and none is whole.
    """
    with warnings() as told:
        found = Checkpoints(directory).restore(jax.eval_shape(lambda: state(0)))
    if found is None:
        return None, told
    step, restored, beside = found
    wanted = jax.tree.map(_bits, (state(step), extra(step)))
    same = jax.tree.map(np.array_equal, wanted, jax.tree.map(_bits, (restored, beside)))
    if not all(jax.tree.leaves(same)):
        raise Silent(f"{directory}: step {step} was restored with other bits than were saved")
    return step, told


class Silent(Exception):
    """Damage that was loaded and not told."""


@contextlib.contextmanager
def warnings():
    """Collects what `runner` warns of."""
    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())
    logger = logging.getLogger("runner")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


def _bits(leaf: Any) -> np.ndarray:
    is_key = hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)
