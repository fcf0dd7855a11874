"""The state on which faults are tested: small, and all of its bits are determined by the step."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np

from runner.storage.checkpoints import Checkpoints


def state(step: int) -> dict[str, Any]:
    """Returns the state of a step: a matrix, a bias and a key."""
    random = np.random.default_rng(step)
    matrix, bias = random.normal(size=(32, 16)).astype(np.float32), random.normal(size=16).astype(np.float32)
    return {
        "net": {"w": jax.numpy.asarray(matrix), "b": jax.numpy.asarray(bias)},
        "key": jax.random.key(step),
    }


def extra(step: int) -> dict[str, Any]:
    """Returns what else is saved at a step."""
    return {"rows": [[step, 0.1 * step]]}


def save(directory: Path, *steps: int, on_saved: Any = None) -> None:
    """Saves steps, one after the other; the first is the best."""
    with Checkpoints(directory, on_saved=on_saved) as checkpoints:
        for step in steps:
            checkpoints.save(step, state(step), extra(step), step)


def load(directory: Path) -> tuple[int | None, list[str]]:
    """Restores the newest complete step with a new reader, and compares all bits.

    Returns:
        The step, or None if there is none, and the warnings.

    Raises:
        Silent: what was restored differs from what was saved, and no error was raised.
        Unreadable: there are steps, and none is complete.
    """
    with warnings() as messages:
        restored = Checkpoints(directory).restore(jax.eval_shape(lambda: state(0)))
    if restored is None:
        return None, messages
    step, values, others = restored
    wanted = jax.tree.map(_bits, (state(step), extra(step)))
    same = jax.tree.map(np.array_equal, wanted, jax.tree.map(_bits, (values, others)))
    if not all(jax.tree.leaves(same)):
        raise Silent(f"{directory}: step {step} was restored with other bits than were saved")
    return step, messages


class Silent(Exception):
    """Damage that was loaded without an error."""


@contextlib.contextmanager
def warnings():
    """Collects the warnings of `runner`."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("runner")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def _bits(leaf: Any) -> np.ndarray:
    is_key = hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)
