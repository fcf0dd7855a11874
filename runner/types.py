"""The words of the project as types: nets, losses, data and what passes between them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax

Key = jax.Array  # a typed key, of jax.random.key
Array = jax.Array | np.ndarray
Params = optax.Params
Batch = Mapping[str, Any]  # arrays [B, ...]; empty where there is no data
Metrics = dict[str, Any]  # name -> array
Figures = Mapping[str, Callable[[], Any]]  # name -> a function that draws a matplotlib Figure
Loss = Callable[..., jax.Array]  # outputs, targets -> values [B, ...], unreduced as optax's
Net = hk.TransformedWithState


class AdversarialLoss(NamedTuple):
    """The losses of the two players of an adversarial game, per example, from the discriminator's logits."""

    generator: Callable[[jax.Array], jax.Array]  # fake [B] -> [B]
    discriminator: Callable[[jax.Array, jax.Array], jax.Array]  # real [B], fake [B] -> [B]

    def judge(self, real: jax.Array, fake: jax.Array) -> Metrics:
        """Gives what an evaluation tells of a game: both players' losses and the logits themselves, each [B]."""
        return {
            "discriminator_loss": self.discriminator(real, fake),
            "generator_loss": self.generator(fake),
            "real_logit": real,
            "fake_logit": fake,
        }


class Likelihood(NamedTuple):
    """A distribution of each number of x, given a decoder's output."""

    negative_log: Callable[[jax.Array, jax.Array], jax.Array]  # outputs, x -> nats, all [B, ...]
    mean: Callable[[jax.Array], jax.Array]  # outputs -> the distribution's mean, both [B, ...]
    bounds: tuple[float, float] | None  # of x, where it has any


class Optimizer(Protocol):
    """What a scenario asks of an optimizer: any `optax.GradientTransformation`, or one of `runner.optimizers`."""

    @property
    def init(self) -> Callable[..., Any]:
        """Gives `params -> opt_state`."""
        ...

    @property
    def update(self) -> Callable[..., tuple[Any, Any]]:
        """Gives `grads, opt_state, params -> updates, opt_state`."""
        ...


class TrainState(NamedTuple):
    """One net in training."""

    params: Params
    net_state: Any  # what the net itself keeps from call to call: BatchNorm's moving statistics, say
    opt_state: Any


class Mean(NamedTuple):
    """A metric that is absent at some steps; rows with count 0 are left out of its mean."""

    total: jax.Array
    count: jax.Array


class Modes(NamedTuple):
    """The known modes of a mixture of equal, round Gaussians."""

    centres: Any  # [M, D]
    spread: Any  # the standard deviation of each, a number


class Column(NamedTuple):
    """One column of a user's table: numbers, or texts that become one 0/1 feature for each category."""

    name: str
    categories: tuple[str, ...] = ()


class Feature(NamedTuple):
    """Shape of one example, without the batch axis, and dtype name."""

    shape: tuple[int, ...]
    dtype: str


class Spec:
    """What data says of itself: enough to initialise nets and to read what they put out, without the data.

    A pytree: the statistics, modes and entropy are its leaves, the rest is static.

    Attributes:
        features: name in the batch -> shape of one example and dtype.
        mean: name -> mean of the training rows, for floating features: of each entry of a vector, of each
            channel (last axis) of anything larger.
        std: name -> standard deviation likewise; 1 where a feature is constant.
        classes: count of classes of `y`, or None.
        labels: names of the classes, or empty.
        columns: the table's columns that make `x`, or empty.
        target: the name of the table's target column, or None.
        vocabulary: the text of each token, where x is tokens, or empty.
        modes: the centres and spread, where the data is a known mixture.
        entropy: of one more token, in nats, where the source of the tokens is known.
    """

    def __init__(
        self,
        features,
        *,
        mean=None,
        std=None,
        classes=None,
        labels=(),
        columns=(),
        target=None,
        vocabulary=(),
        modes=None,
        entropy=None,
    ):
        self.features = {name: Feature(tuple(shape), str(dtype)) for name, (shape, dtype) in features.items()}
        self.mean, self.std = dict(mean or {}), dict(std or {})
        self.classes, self.labels, self.columns, self.target = classes, tuple(labels), tuple(columns), target
        self.vocabulary, self.modes, self.entropy = tuple(vocabulary), modes, entropy

    @classmethod
    def of(cls, arrays: Mapping[str, Array], **known) -> "Spec":
        """Reads shapes, dtypes and statistics off the training rows, arrays [N, ...] of one length.

        Whole numbers `y` [N] count as classes `0..max` unless `classes` is given.
        """
        dtype = jax.dtypes.canonicalize_dtype  # of what the rows become on a device
        features = {name: (rows.shape[1:], dtype(rows.dtype)) for name, rows in arrays.items()}
        floating = {name: rows for name, rows in arrays.items() if jnp.issubdtype(rows.dtype, jnp.floating)}
        moments = {name: _moments(np.asarray(rows)) for name, rows in floating.items()}
        y = arrays.get("y")
        if "classes" not in known and y is not None and y.ndim == 1 and jnp.issubdtype(y.dtype, jnp.integer):
            known["classes"] = int(np.max(y)) + 1
        return cls(
            features,
            mean={name: mean for name, (mean, _) in moments.items()},
            std={name: std for name, (_, std) in moments.items()},
            **known,
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Gives the shape of one example of a feature.

        Raises:
            ValueError: the data has no such feature.
        """
        if name not in self.features:
            raise ValueError(f"the data has no {name!r}; it has {', '.join(self.features) or 'no features'}")
        return self.features[name].shape

    def example(self, size: int) -> dict[str, jax.Array]:
        """Makes a batch of zeros `[size, ...]`, for the initialisation of nets."""
        return {name: jnp.zeros((size, *shape), dtype) for name, (shape, dtype) in self.features.items()}

    def to_json(self) -> dict:
        """Gives all but the statistics and modes, which live in the state and in the dataset."""
        return {
            "features": {name: [list(shape), dtype] for name, (shape, dtype) in self.features.items()},
            "classes": self.classes,
            "labels": list(self.labels),
            "columns": [[name, list(categories)] for name, categories in self.columns],
            "target": self.target,
            "vocabulary": list(self.vocabulary),
            "entropy": None if self.entropy is None else float(self.entropy),
        }

    @classmethod
    def from_json(cls, saved: Mapping) -> "Spec":
        """Rebuilds a spec; its statistics are zeros and ones of the right shapes."""
        columns = [Column(name, tuple(categories)) for name, categories in saved["columns"]]
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
            labels=saved["labels"],
            columns=columns,
            target=saved["target"],
            vocabulary=saved["vocabulary"],
            entropy=saved["entropy"],
        )


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(rows.ndim - 1)) if rows.ndim > 2 else 0
    mean, std = rows.mean(axes, dtype=np.float64), rows.std(axes, dtype=np.float64)
    return mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _flatten(spec: Spec):
    static = (
        tuple(spec.features.items()),
        spec.classes,
        spec.labels,
        spec.columns,
        spec.target,
        spec.vocabulary,
    )
    return (spec.mean, spec.std, spec.modes, spec.entropy), static


def _unflatten(static, leaves) -> Spec:
    spec = object.__new__(Spec)
    features, spec.classes, spec.labels, spec.columns, spec.target, spec.vocabulary = static
    spec.features = dict(features)
    spec.mean, spec.std, spec.modes, spec.entropy = leaves
    return spec


jax.tree_util.register_pytree_node(Spec, _flatten, _unflatten)


class Environment(Protocol):
    """A world to act in, one copy of it: pure functions over its state."""

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Of one observation."""
        ...

    @property
    def actions(self) -> int:
        """Count of the actions, which are numbered from 0."""
        ...

    def reset(self, key: Key) -> Any:
        """Begins an episode, and gives its state."""
        ...

    def observe(self, state: Any) -> jax.Array:
        """Gives what can be seen of a state."""
        ...

    def step(self, key: Key, state: Any, action: jax.Array) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
        """Acts; gives the next state, the reward, whether the episode terminated, and whether it was cut off."""
        ...


class Source(Protocol):
    """Where batches come from: a host half, called once a stretch, and a half in the compiled call.

    A pytree whose leaves are what the compiled call needs of it (arrays on the device).
    """

    spec: Spec
    batch_size: int
    size: int | None  # rows in one pass, or None where there is no such count

    def feed(self, key: Key, start: int, length: int) -> Any:
        """Prepares batches `start..start+length-1` on the host: arrays `[length, ...]`, or None."""
        ...

    def batch(self, key: Key, item: Any) -> Batch:
        """Makes one batch in the compiled call, from one item of the feed and the batch's own key."""
        ...


class Dataset(NamedTuple):
    """Sources for training, validation and test; what the data says of itself is its training source's `spec`."""

    train: Any
    validation: Any
    test: Any

    @property
    def spec(self) -> Spec:
        """What the training rows say of the data."""
        return self.train.spec
