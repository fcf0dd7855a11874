"""Predictions of a saved run for what a user names, in blocks, so that large inputs do not take all memory."""

import functools
import logging
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from runner.core import PyTree, Scenario, Spec
from runner.core.abilities import Reconstructing, Spreading, supports
from runner.datasets.inputs import Inputs
from runner.datasets.reading import read_inputs
from runner.loop.partition import join, split

if TYPE_CHECKING:
    from runner.runs.saved_run import Run

log = logging.getLogger("runner")

AT_ONCE = 250  # examples of one call: a net takes far more memory than its outputs
NAMED = 10  # rows that cannot be read and are reported one by one


class Predicted(NamedTuple):
    """Some rows of an input, and what is predicted of each; NaN where a row cannot be read."""

    inputs: Inputs
    outputs: np.ndarray  #: [size, ...], those of the scenario
    spread: np.ndarray | None  #: [size, ...], the standard deviations between the members of an ensemble


def predicted(
    run: "Run", source: object, step: int | None = None, strict: bool = False
) -> Iterator[Predicted]:
    """Yields what a run predicts of a source, block by block, and reports the rows that cannot be read.

    Raises:
        ValueError: the source cannot be read, its rows do not fit the net, none of them can be read, or, if `strict`,
            one of them cannot be.
    """
    scenario, state = run.scenario, run.kept_state(step)
    problems, read, named = [], 0, 0
    for inputs in read_inputs(source, run.spec, run.config["dataset"]):
        if strict and inputs.problems:
            raise ValueError(
                f"{inputs.problems[0]}; without strict=true, predictions of such rows are left empty"
            )
        problems, read = [*problems, *inputs.problems], read + len(inputs.x)
        if read:  # otherwise one error says all
            for problem in problems[named:NAMED]:
                log.warning("%s; its prediction is left empty", problem)
            named = len(problems)
        x = _of_all_rows(inputs, _fitting(inputs.x, run.spec))
        compute = functools.partial(_outputs, inputs, x, scenario, state)
        spread = compute("spread") if supports(scenario, Spreading) else None
        yield Predicted(inputs, _in_units(compute("predict"), run), spread)
    if problems and not read:
        raise ValueError(f"{problems[0]}; none of the {len(problems)} rows can be read")
    if len(problems) > NAMED:
        log.warning(
            "%d more rows cannot be read, and their predictions are left empty", len(problems) - NAMED
        )


def _in_units(outputs: np.ndarray, run: "Run") -> np.ndarray:
    """Returns predictions of the target columns of a table with the offsets that were subtracted in training."""
    targets = run.spec.targets
    has_offset = any(column.offset for column in targets) and outputs.shape[1:] == (len(targets),)
    return (
        run.spec.with_offsets(outputs)
        if has_offset and not supports(run.scenario, Reconstructing)
        else outputs
    )


def _fitting(x: np.ndarray, spec: Spec) -> np.ndarray:
    """Returns inputs in the kind of numbers that the net takes.

    Raises:
        ValueError: their shape is another one, or the net takes whole numbers and these are not.
    """
    shape, dtype = spec.features["x"]
    if x.shape[1:] != shape:
        raise ValueError(f"x: each has shape {x.shape[1:]}; the net of this run takes {shape}")
    if np.issubdtype(dtype, np.integer) and x.dtype.kind == "f":
        if (x != np.round(x)).any():
            raise ValueError("x: the net of this run takes whole numbers, such as tokens")
        return x.astype(dtype)
    return x


def _of_all_rows(inputs: Inputs, x: np.ndarray) -> np.ndarray:
    """Returns x of all rows, zeros where one cannot be read, so that blocks of equal size share a compiled program."""
    if len(x) == inputs.size:
        return x
    filled = np.zeros((inputs.size, *x.shape[1:]), x.dtype)
    filled[inputs.rows] = x
    return filled


def _outputs(
    inputs: Inputs, x: np.ndarray, scenario: Scenario[PyTree], state: PyTree, method: str
) -> np.ndarray:
    outputs = computed(method, scenario, state, x)
    if len(inputs.rows) < inputs.size:
        outputs = outputs.astype(np.promote_types(outputs.dtype, np.float32))
        outputs[np.setdiff1d(np.arange(inputs.size), inputs.rows)] = np.nan
    return outputs


def computed(method: str, scenario: Scenario[PyTree], state: PyTree, x: np.ndarray) -> np.ndarray:
    """Returns what a method of a scenario computes of x [N, ...], in blocks."""
    compute = functools.partial(_call, method, *split(scenario), state)
    blocks = np.split(np.asarray(x), range(AT_ONCE, len(x), AT_ONCE))
    return np.concatenate([np.asarray(compute(block)) for block in blocks])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _call(method: str, structure: Hashable, numeric_leaves: tuple, state: PyTree, x: np.ndarray):
    return getattr(join(structure, numeric_leaves), method)(state, x)
