"""Repeats the step at which a run was no longer finite, to locate the first operation that failed."""

import dataclasses
import traceback
from pathlib import Path

import jax
import numpy as np

import runner
from runner.core import PyTree, named_leaves
from runner.errors import NotFinite
from runner.loop.compiled import Program
from runner.runs.training import Training
from runner.storage.checkpoints import Checkpoints
from runner.storage.run_directory import Directory


def replay(config: dict, path: str | Path) -> list[str]:
    """Trains from the newest checkpoint to the step that was not finite, and repeats that step twice.

    The step is first compiled, as in the run, then executed operation by operation, up to the first result that is
    not finite.

    Args:
        config: the trusted configuration of the run.
        path: the run directory, which is only read.

    Returns:
        Lines that describe the results.

    Raises:
        ValueError: the run info contains no such step.
    """
    directory = Directory(path)
    bad = directory.info.bad_step
    if bad is None:
        raise ValueError(
            f"{directory.path}: ended at no step that was not finite; there is nothing to replay"
        )
    training = Training(config, saved=True)
    with _ReadOnly(directory.path / "checkpoints") as checkpoints:
        try:
            _advanced(training, checkpoints, bad, check_state=True)
        except NotFinite as error:
            bad, outcome = error.step, f"step {error.step}, checked one by one: {error}"
        else:
            outcome = f"up to step {bad}, checked one by one, all was finite: it did not happen again"
        state = _advanced(training, checkpoints, bad - 1)
    program = training.prepared.program
    return [outcome, _compiled(program, state, bad - 1), _unjitted(program, state, bad - 1)]


class _ReadOnly(Checkpoints):
    """Checkpoints that are restored but never saved."""

    def save(self, *_: object) -> None:
        """Does nothing."""


def _advanced(training: Training, checkpoints: Checkpoints, step: int, check_state: bool = False) -> PyTree:
    if step == 0:
        training.refuse_to_begin()
        state = training.prepared.program.init()
        return state if training.warm_start is None else training.warm_start(state)
    ends = {"steps": step, "evaluate_every": None, "save_every": None, "best": None, "patience": None}
    loop = dataclasses.replace(training.parts.loop, **ends, check_state=check_state)
    prepared = training.prepared._replace(evaluator=None)
    return loop.train(prepared, checkpoints=checkpoints, warm_start=training.warm_start)


def _compiled(program: Program, state: PyTree, step: int) -> str:
    after, metrics = program.single(state, step)
    bad = [f"{name} of the state" for name in _not_finite(named_leaves(after))] + _not_finite(metrics)
    return f"compiled: {', '.join(bad)} is not finite" if bad else "compiled: everything is finite"


def _not_finite(values: dict[str, PyTree]) -> list[str]:
    arrays = {name: np.asarray(leaf) for name, value in values.items() for leaf in _plain(value)}
    return [name for name, array in arrays.items() if not np.isfinite(array).all()]


def _plain(value: PyTree) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(value) if jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact)]


def _unjitted(program: Program, state: PyTree, step: int) -> str:
    for switch in (jax.debug_nans, jax.debug_infs):
        try:
            with jax.disable_jit(), switch(True):
                program.single(state, step)
        except FloatingPointError as error:
            return f"operation by operation: {str(error).splitlines()[0].rstrip('.')}, in {_line(error)}"
    return "operation by operation: everything is finite"


def _line(error: BaseException) -> str:
    """Returns the innermost line of this package, or of code that is not installed next to JAX."""
    libraries = Path(jax.__file__).parent.parent
    own = Path(runner.__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(own) or not Path(frame.filename).is_relative_to(libraries)
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line}"
