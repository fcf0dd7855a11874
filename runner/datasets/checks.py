"""What rows must be before anything is trained on them."""

import functools
import logging
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, Feature, Spec

log = logging.getLogger("runner")

LARGEST_SQUARED = float(np.sqrt(np.finfo(np.float32).max))  # of what is larger, the square is infinite
FAR = 16  # from 0, for the inputs of a net that is initialised for inputs about 1


@functools.cache
def tell(message: str) -> None:
    """Logs what a user should know of data, once in a process: the runs of a sweep read the same."""
    log.warning("%s", message)


def as_floats(name: str, rows: Array) -> np.ndarray:
    """Copies numbers to float32, and tells by how much that changes them.

    Raises:
        ValueError: as `narrow`.
    """
    floats = narrow(name, rows).astype(np.float32)
    if np.can_cast(rows.dtype, np.float32):  # which changes none
        return floats
    error = np.max(np.abs(rows - floats), initial=0)
    if error:
        tell(f"note: {name}: {rows.dtype} is read as float32 (largest error {error:.2g})")
    return floats


def warn_of(arrays: Mapping[str, np.ndarray]) -> None:
    """Tells of rows that are all alike, and of numbers whose squares, as of a loss, are infinite."""
    for name, rows in arrays.items():
        if (rows == rows[0]).all():
            tell(f"warning: {name}: all rows are equal, so that nothing can be learned of them")
        if max(float(rows.max()), -float(rows.min())) > LARGEST_SQUARED:
            place = np.unravel_index(np.argmax(np.abs(rows)), rows.shape)
            tell(
                f"warning: {name}: {_place(place)} is {rows[place]:.3g}, whose square overflows; rescale {name}"
            )


def warn_of_unscaled(spec: Spec, advice: str) -> None:
    """Tells of inputs x far from 0, for a scenario that takes them as they are."""
    if "x" in spec.std and (far := np.max(np.abs(spec.mean["x"]) + spec.std["x"])) > FAR:
        tell(f"warning: x: values of about {far:.3g} reach the nets as they are; {advice}")


def narrow(name: str, rows: Array) -> np.ndarray:
    """Copies numbers to the width that JAX computes in, so float64 to float32 and int64 to int32.

    Raises:
        ValueError: not rows of numbers, or a value that is not finite or does not fit.
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
        raise ValueError(f"{name}: {_place(first)} is {_text(rows[first])} ({count})")
    return narrowed


def check_labels(name: str, y: np.ndarray, classes: int) -> None:
    """Refuses class numbers outside `0..classes-1`.

    Raises:
        ValueError: a label outside.
    """
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if outside.size:
        label = y[outside[0]]
        known = "classes are numbered from 0" if label < 0 else f"classes are 0..{classes - 1}"
        raise ValueError(f"{name}: row {outside[0]} is {label}; {known}")


def check_described(rows: Mapping[str, np.ndarray], spec: Spec, of: str = "") -> None:
    """Refuses rows unlike those that a spec describes.

    Raises:
        ValueError: another shape or dtype, or a label outside the classes.
    """
    for name, values in rows.items():
        found, described = Feature(values.shape[1:], str(values.dtype)), spec.features.get(name)
        if described not in (None, found):
            raise ValueError(f"{of}{name}: rows are {_form(found)}; the spec says {_form(described)}")
    y = rows.get("y")
    if spec.classes is not None and y is not None and y.ndim == 1:
        check_labels(f"{of}y", y, spec.classes)


def checked(arrays: Mapping[str, Array], of: str = "") -> dict[str, np.ndarray]:
    """Copies arrays of rows to the width that JAX computes in.

    Raises:
        ValueError: no rows, arrays of different lengths, or what `narrow` refuses.
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


def _place(index: tuple) -> str:
    row, *inner = map(int, index)
    if not inner:
        return f"row {row}"
    return f"row {row}, column {inner[0]}" if len(inner) == 1 else f"row {row} at {tuple(inner)}"


def _text(value: np.generic) -> str:
    return "NaN" if math.isnan(value) else str(value)
