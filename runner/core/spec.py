"""The spec of a dataset: shapes, dtypes, statistics and classes, from which nets are initialized."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Array = jax.Array | np.ndarray  #: an array on a device or on the host


class Modes(NamedTuple):
    """The known modes of a mixture of equal, isotropic Gaussians."""

    centres: ArrayLike  #: [M, D]
    spread: ArrayLike  #: the standard deviation of each mode, a scalar


class Column(NamedTuple):
    """One column of a table, and how its cells become features.

    Numbers and dates are one feature, texts one 0/1 feature for each category. What is stored comes from the training
    rows.
    """

    name: str
    categories: tuple[str, ...] = ()  #: of texts; empty for numbers and dates
    dates: str | None = (
        None  #: the notation of dates, which are days since 1970, or None for numbers and texts
    )
    offset: float = 0.0  #: subtracted in float64 from numbers before they are rounded to float32
    fill: float | str | None = None  #: what a missing cell counts as, or None if it is refused
    unseen: str | None = None  #: the category that a text which is none counts as, or None if it is refused
    indicator: bool = False  #: whether a 0/1 feature follows that says whether the cell is missing

    @property
    def width(self) -> int:
        """The number of features."""
        return (len(self.categories) or 1) + self.indicator

    def to_json(self) -> list:
        """Returns the name, the categories and, if any differs from its default, the other fields."""
        other = {
            name: value
            for name, value in self._asdict().items()
            if name not in ("name", "categories") and value != self._field_defaults[name]
        }
        return [self.name, list(self.categories), *([other] if other else [])]

    @classmethod
    def from_json(cls, saved: Sequence) -> "Column":
        """Returns a column from `to_json`."""
        name, categories, *other = saved
        return cls(name, tuple(categories), **(other[0] if other else {}))


class Feature(NamedTuple):
    """The shape of one example, without the batch axis, and the name of the dtype."""

    shape: tuple[int, ...]
    dtype: str


class Spec:
    """The description of a dataset: enough to initialize nets and to interpret their outputs without the data.

    A spec is a pytree: the statistics, frequencies, modes and entropy are its leaves, all other attributes are static.

    Attributes:
        features: name in the batch -> shape of one example and dtype.
        mean: name -> mean of the training rows, for floating features: of each entry of a vector, and of each
            channel (last axis) of arrays with more axes.
        std: name -> standard deviation, for the same features and axes; 1 if a feature is constant.
        classes: the number of classes of `y`, or None.
        frequencies: the share of each class in the training rows `[classes]`, or None.
        labels: the names of the classes, or empty.
        columns: the columns of the table from which `x` is built, or empty.
        target: the name of the target column of the table, or None if there is none, or several.
        targets: the target columns whose numbers are `y`, or empty, also in runs saved by version 0.2.
        vocabulary: the text of each token if x consists of tokens, or empty.
        depth: the number of bits that the image files use if they have 16 bits per pixel, or None.
        modes: the centres and spread if the data is a known mixture, or None.
        entropy: the entropy of the next token in nats, if the source of the tokens is known, or None.
    """

    def __init__(
        self,
        features,
        *,
        mean=None,
        std=None,
        classes=None,
        frequencies=None,
        labels=(),
        columns=(),
        target=None,
        targets=(),
        vocabulary=(),
        depth=None,
        modes=None,
        entropy=None,
    ):
        self.features = {name: Feature(tuple(shape), str(dtype)) for name, (shape, dtype) in features.items()}
        self.mean, self.std = dict(mean or {}), dict(std or {})
        self.classes, self.labels, self.columns, self.target = classes, tuple(labels), tuple(columns), target
        self.targets = tuple(targets)
        self.vocabulary, self.depth, self.modes, self.entropy = tuple(vocabulary), depth, modes, entropy
        self.frequencies = frequencies

    @classmethod
    def of(cls, arrays: Mapping[str, Array], **known) -> "Spec":
        """Returns the spec of training rows, arrays [N, ...] of one length, with their shapes, dtypes and statistics.

        Whole numbers `y` [N] are interpreted as classes `0..max` unless `classes` is given.
        """
        dtype = jax.dtypes.canonicalize_dtype  # the dtype of the rows on a device
        features = {name: (rows.shape[1:], dtype(rows.dtype)) for name, rows in arrays.items()}
        floating = {name: rows for name, rows in arrays.items() if jnp.issubdtype(rows.dtype, jnp.floating)}
        moments = {name: _moments(np.asarray(rows)) for name, rows in floating.items()}
        y = arrays.get("y")
        if "classes" not in known and y is not None and y.ndim == 1 and jnp.issubdtype(y.dtype, jnp.integer):
            known["classes"] = int(np.max(y)) + 1
        if known.get("classes") is not None and y is not None and y.ndim == 1:
            known.setdefault("frequencies", _frequencies(np.asarray(y), known["classes"]))
        return cls(
            features,
            mean={name: mean for name, (mean, _) in moments.items()},
            std={name: std for name, (_, std) in moments.items()},
            **known,
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of one example of a feature.

        Raises:
            ValueError: the data has no such feature.
        """
        if name not in self.features:
            raise ValueError(f"the data has no {name!r}; it has {', '.join(self.features) or 'no features'}")
        return self.features[name].shape

    def example(self, size: int) -> dict[str, jax.Array]:
        """Returns a batch of zeros `[size, ...]`, for the initialization of nets."""
        return {name: jnp.zeros((size, *shape), dtype) for name, (shape, dtype) in self.features.items()}

    def with_offsets(self, outputs: Array) -> np.ndarray:
        """Returns predictions `[..., targets]` of y as float64, with the offsets of the target columns added."""
        offsets = [column.offset for column in self.targets]
        return np.asarray(outputs, np.float64) + np.array(offsets or 0.0)

    def to_json(self) -> dict:
        """Returns all attributes but the statistics and modes, which are stored in the state and in the dataset."""
        return {
            "features": {name: [list(shape), dtype] for name, (shape, dtype) in self.features.items()},
            "classes": self.classes,
            "labels": list(self.labels),
            "columns": [column.to_json() for column in self.columns],
            "target": self.target,
            **({"targets": [column.to_json() for column in self.targets]} if self.targets else {}),
            "vocabulary": list(self.vocabulary),
            "entropy": None if self.entropy is None else float(self.entropy),
        } | (
            {} if self.depth is None else {"depth": self.depth}
        )  # so that digests of other data stay as they were

    @classmethod
    def from_json(cls, saved: Mapping) -> "Spec":
        """Returns a spec from `to_json`; its statistics are zeros and ones of the right shapes."""
        columns = [Column.from_json(column) for column in saved["columns"]]
        features = {name: Feature(tuple(shape), dtype) for name, (shape, dtype) in saved["features"].items()}
        shapes = {
            name: shape[-1:] if len(shape) > 1 else shape
            for name, (shape, dtype) in features.items()
            if jnp.issubdtype(dtype, jnp.floating)
        }
        return cls(
            features,
            mean={name: np.zeros(shape, np.float32) for name, shape in shapes.items()},
            std={name: np.ones(shape, np.float32) for name, shape in shapes.items()},
            classes=saved["classes"],
            frequencies=None if saved["classes"] is None else np.ones(saved["classes"], np.float32),
            labels=saved["labels"],
            columns=columns,
            target=saved["target"],
            targets=[Column.from_json(column) for column in saved.get("targets", ())],
            vocabulary=saved["vocabulary"],
            depth=saved.get("depth"),
            entropy=saved["entropy"],
        )


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(rows.ndim - 1)) if rows.ndim > 2 else 0
    mean, std = rows.mean(axes, dtype=np.float64), rows.std(axes, dtype=np.float64)
    return mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _frequencies(y: np.ndarray, classes: int) -> np.ndarray:
    known = y[
        (y >= 0) & (y < classes)
    ]  # a label outside of the classes is refused where the rows are checked
    return (np.bincount(known, minlength=classes) / len(y)).astype(np.float32)


def _flatten(spec: Spec):
    static = (
        tuple(spec.features.items()),
        spec.classes,
        spec.labels,
        spec.columns,
        spec.target,
        spec.targets,
        spec.vocabulary,
        spec.depth,
    )
    return (spec.mean, spec.std, spec.frequencies, spec.modes, spec.entropy), static


def _unflatten(static, leaves) -> Spec:
    spec = object.__new__(Spec)
    features, spec.classes, spec.labels, spec.columns, *named = static
    spec.target, spec.targets, spec.vocabulary, spec.depth = named
    spec.features = dict(features)
    spec.mean, spec.std, spec.frequencies, spec.modes, spec.entropy = leaves
    return spec


jax.tree_util.register_pytree_node(Spec, _flatten, _unflatten)
