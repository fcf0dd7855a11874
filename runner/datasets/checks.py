"""Checks of the rows of a dataset, before anything is trained on them."""

import functools
import logging
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, Feature, Spec

log = logging.getLogger("runner")

LARGEST_SQUARED = float(np.sqrt(np.finfo(np.float32).max))  # the square of a larger value is infinite
MANY_CLASSES, ROWS_PER_CLASS = 32, 4  # more whole numbers than these are classes if each has so many rows
FAR = 16  # distance from 0 at which inputs are far out for a net that is initialised for inputs of about 1


@functools.cache
def report(message: str) -> None:
    """Logs a warning about data once per process, because the runs of a sweep read the same data."""
    log.warning("%s", message)


@functools.cache
def tell(message: str) -> None:
    """Logs what data are like once per process."""
    log.info("%s", message)


def as_floats(name: str, rows: Array) -> np.ndarray:
    """Copies numbers to float32, and logs the largest error if that changes any.

    Raises:
        ValueError: as for `narrow`.
    """
    floats = narrow(name, rows).astype(np.float32)
    if np.can_cast(rows.dtype, np.float32):  # which changes no value
        return floats
    error = np.max(np.abs(rows - floats), initial=0)
    if error:
        report(f"note: {name}: {rows.dtype} is read as float32 (largest error {error:.2g})")
    return floats


def warn_of(arrays: Mapping[str, np.ndarray]) -> None:
    """Warns if all rows are equal, and of values whose squares, which a loss may need, are infinite."""
    for name, rows in arrays.items():
        if (rows == rows[0]).all():
            report(f"warning: {name}: all rows are equal, so that nothing can be learned from them")
        if max(float(rows.max()), -float(rows.min())) > LARGEST_SQUARED:
            index = np.unravel_index(np.argmax(np.abs(rows)), rows.shape)
            report(
                f"warning: {name}: {_position(index)} is {rows[index]:.3g}, whose square overflows; rescale {name}"
            )


def warn_of_unscaled(spec: Spec, advice: str) -> None:
    """Warns of inputs x far from 0, for a scenario that does not scale them."""
    if "x" in spec.std and (far := np.max(np.abs(spec.mean["x"]) + spec.std["x"])) > FAR:
        report(f"warning: x: values of about {far:.3g} reach the nets as they are; {advice}")


def narrow(name: str, rows: Array, numbers: np.ndarray | None = None) -> np.ndarray:
    """Copies numbers to the precision that JAX computes in: float64 to float32 and int64 to int32.

    Args:
        name: the name in messages.
        rows: the numbers [N, ...].
        numbers: of the rows [N] in messages; None for 0 to N-1.

    Raises:
        ValueError: the values are not rows of numbers, or one of them is not finite or does not fit.
    """
    rows = np.asarray(rows)
    floating = jnp.issubdtype(rows.dtype, jnp.floating)
    if not (floating or rows.dtype.kind in "biu"):
        raise ValueError(f"{name}: dtype {rows.dtype}; need floats or whole numbers")
    if rows.ndim == 0:
        raise ValueError(f"{name}: a single number; need rows [N, ...]")
    with np.errstate(over="ignore"):
        narrowed = rows.astype(jax.dtypes.canonicalize_dtype(rows.dtype))
    fits = np.isfinite(narrowed) if floating else narrowed == rows
    if not fits.all():
        need = "not finite" if floating else "too large"
        first = np.unravel_index(np.argmin(fits), fits.shape)
        count = f"{np.sum(~fits)} of {fits.size} values {need} in {narrowed.dtype}"
        position = first if numbers is None else (numbers[first[0]], *first[1:])
        raise ValueError(f"{name}: {_position(position)} is {_text(rows[first])} ({count})")
    return narrowed


def check_labels(name: str, y: np.ndarray, classes: int, numbers: np.ndarray | None = None) -> None:
    """Checks that the labels lie in `0..classes-1`; `numbers` are those of the rows, as for `narrow`.

    Raises:
        ValueError: a label lies outside.
    """
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if outside.size:
        label = y[outside[0]]
        known = "classes are numbered from 0" if label < 0 else f"classes are 0..{classes - 1}"
        row = outside[0] if numbers is None else numbers[outside[0]]
        raise ValueError(f"{name}: row {row} is {label}; {known}")


def numbered(name: str, y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns whole numbers as classes numbered from 0, and the number that each class has in the data.

    Other numbers than 0 up to the number of classes are reported.

    Raises:
        ValueError: all numbers are the same, or there are so many different ones that they are no classes.
    """
    distinct, indices = np.unique(y, return_inverse=True)
    if len(distinct) == 1:
        raise ValueError(f"{name}: every row is {distinct[0]}; need two classes, or data without targets")
    if len(distinct) > MANY_CLASSES and len(distinct) * ROWS_PER_CLASS > len(y):
        raise ValueError(
            f"{name}: {len(distinct)} different whole numbers in {len(y)} rows are no classes; store targets of a"
            " regression as floats"
        )
    if distinct[0] != 0 or distinct[-1] != len(distinct) - 1:
        shown = ", ".join(map(str, distinct[:10])) + (", ..." if len(distinct) > 10 else "")
        report(
            f"note: {name}: the {len(distinct)} classes are numbered {shown}; they become 0 to {len(distinct) - 1}"
        )
    return indices.astype(np.int32), tuple(map(str, distinct.tolist()))


def check_described(rows: Mapping[str, np.ndarray], spec: Spec, of: str = "") -> None:
    """Checks that rows match a spec.

    Raises:
        ValueError: their shape or dtype differs, or a label lies outside the classes.
    """
    for name, values in rows.items():
        actual, described = Feature(values.shape[1:], str(values.dtype)), spec.features.get(name)
        if described not in (None, actual):
            raise ValueError(f"{of}{name}: rows are {_form(actual)}; the spec says {_form(described)}")
    y = rows.get("y")
    if spec.classes is not None and y is not None and y.ndim == 1:
        check_labels(f"{of}y", y, spec.classes)


def checked(arrays: Mapping[str, Array], of: str = "") -> dict[str, np.ndarray]:
    """Copies arrays of rows to the precision that JAX computes in.

    Raises:
        ValueError: there are no rows, the arrays differ in length, or as for `narrow`.
    """
    copies = {name: narrow(f"{of}{name}", rows) for name, rows in arrays.items()}
    sizes = {name: len(rows) for name, rows in copies.items()}
    first = next(iter(sizes), None)
    if first is None or not sizes[first]:
        raise ValueError(f"{of}{first}: no rows" if first else f"{of}the data has no arrays")
    for name, size in sizes.items():
        if size != sizes[first]:
            raise ValueError(f"{of}{name}: {size} rows; {first} has {sizes[first]}")
    return copies


def _form(feature: Feature) -> str:
    return f"{feature.dtype} of shape {feature.shape}"


def _position(index: tuple) -> str:
    row, *inner = map(int, index)
    if not inner:
        return f"row {row}"
    return f"row {row}, column {inner[0]}" if len(inner) == 1 else f"row {row} at {tuple(inner)}"


def _text(value: np.generic) -> str:
    return "NaN" if math.isnan(value) else str(value)
