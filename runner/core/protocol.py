"""The protocol of a training algorithm, and the types of what passes between it, its parts and the loop."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import optax

from runner.core.spec import Spec

Key = jax.Array  # a typed key, of jax.random.key
Params = optax.Params
Batch = Mapping[str, Any]  # arrays [B, ...]; empty where there is no data
Metrics = dict[str, Any]  # name -> array
Figures = Mapping[str, Callable[[], Any]]  # name -> a function that draws a matplotlib Figure
Loss = Callable[..., jax.Array]  # outputs, targets -> values [B, ...], unreduced as optax's


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


class Mean(NamedTuple):
    """A metric that is absent at some steps; rows with count 0 are left out of its mean."""

    total: jax.Array
    count: jax.Array


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


State = TypeVar("State")


class Scenario(Protocol[State]):
    """A training algorithm as three pure functions of an immutable state.

    It does not depend on files, clocks or command lines. Its numbers are fields of its dataclass, and its parts (nets,
    optimizers, losses) are injected. All methods are traced: the state holds no Python numbers, and keys are arguments.

    Optional members:

        sample(key, state, n, ...) -> x [n, ...]    may take further settings
        predict(state, x) -> outputs [B, ...]
        judge(state, outputs, batch) -> Metrics     evaluates outputs of `predict`
        combine(outputs [K, B, ...]) -> outputs     the mean of K predictions, if it is not the mean of their outputs
        reconstruct(state, x) -> x
        features(state, x) -> [B, F]
        summarize(means) -> Metrics                 computes metrics that are not means from metrics that are
        batches_per_step                            n, if one step takes several batches, with leaves [n, B, ...]
        output_shapes(spec) -> {field: shape}       shapes that complete nets without an output shape
        updates_per_step() -> {field: n}            the updates in a step by the optimizer of a field, if more than one
        weights                                     "average", if averaged weights are used to sample and to evaluate
    """

    def init(self, key: Key, spec: Spec) -> State:
        """Returns the first state, for data as described by its spec."""
        ...

    def step(self, key: Key, state: State, batch: Batch) -> tuple[State, Metrics]:
        """Makes one step; the metrics are numbers that describe it."""
        ...

    def evaluate(self, key: Key, state: State, batch: Batch) -> Metrics:
        """Evaluates held-out data: one value per example `[B, ...]`."""
        ...
