"""The protocol of a training algorithm, and the types that it shares with its parts and the loop."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import optax
from jax.typing import ArrayLike

from runner.core.declarations import undirected
from runner.core.leaves import PyTree
from runner.core.spec import Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Key = jax.Array  #: a typed key, as returned by jax.random.key
Params = optax.Params  #: a pytree of the arrays that are trained
Batch = Mapping[str, PyTree]  #: arrays [B, ...]; empty if there is no data
Metrics = dict[str, PyTree]  #: name -> array or `Mean`
Draw = Callable[[], "Figure"]  #: a function that draws a matplotlib figure
Figures = Mapping[str, Draw]  #: name -> a function that draws a figure
Loss = Callable[..., jax.Array]  #: outputs, targets -> values [B, ...], unreduced as in optax


class AdversarialLoss(NamedTuple):
    """The losses per example of the two players of an adversarial game, from the logits of the discriminator."""

    generator: Callable[[jax.Array], jax.Array]  #: fake [B] -> [B]
    discriminator: Callable[[jax.Array, jax.Array], jax.Array]  #: real [B], fake [B] -> [B]

    #: The declarations of the metrics of `judge`. The losses of players measure each other, not the samples.
    declared_metrics = undirected(
        discriminator_loss="loss of the discriminator against the current generator",
        generator_loss="loss of the generator against the current discriminator",
        real_logit="logit of the discriminator for data",
        fake_logit="logit of the discriminator for samples",
    )

    def judge(self, real: jax.Array, fake: jax.Array) -> Metrics:
        """Returns the metrics of an evaluation: the losses of both players and the logits themselves, each [B]."""
        return {
            "discriminator_loss": self.discriminator(real, fake),
            "generator_loss": self.generator(fake),
            "real_logit": real,
            "fake_logit": fake,
        }


class Likelihood(NamedTuple):
    """A distribution of each entry of x, given the outputs of a decoder."""

    negative_log: Callable[[jax.Array, jax.Array], jax.Array]  #: outputs, x -> nats, all [B, ...]
    mean: Callable[[jax.Array], jax.Array]  #: outputs -> mean of the distribution, both [B, ...]
    bounds: tuple[float, float] | None  #: bounds of x, if there are any


class Optimizer(Protocol):
    """The optimizer of a scenario: any `optax.GradientTransformation`, or one of `runner.optimizers`."""

    @property
    def init(self) -> Callable[..., PyTree]:
        """The function `params -> opt_state`."""
        ...

    @property
    def update(self) -> Callable[..., tuple[PyTree, PyTree]]:
        """The function `grads, opt_state, params -> updates, opt_state`."""
        ...


class Mean(NamedTuple):
    """A metric that is absent at some steps; rows with count 0 do not enter its mean."""

    total: jax.Array
    count: jax.Array


class Environment(Protocol):
    """A single environment, as pure functions of its state."""

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The shape of one observation."""
        ...

    @property
    def actions(self) -> int:
        """The number of actions, which are numbered from 0."""
        ...

    def reset(self, key: Key) -> PyTree:
        """Returns the state at the start of a new episode."""
        ...

    def observe(self, state: PyTree) -> jax.Array:
        """Returns the observation of a state."""
        ...

    def step(
        self, key: Key, state: PyTree, action: jax.Array
    ) -> tuple[PyTree, jax.Array, jax.Array, jax.Array]:
        """Returns the next state, the reward, whether the episode terminated, and whether it was truncated."""
        ...


class Source(Protocol):
    """A source of batches: `feed` runs on the host, once per chunk, and `batch` in the compiled call.

    A source is a pytree whose leaves are the arrays, on the device, that the compiled call needs.
    """

    @property
    def spec(self) -> Spec:
        """The spec of the data."""
        ...

    @property
    def batch_size(self) -> int:
        """The rows of a batch."""
        ...

    @property
    def size(self) -> int | None:
        """The rows in one pass, or None if a pass has no end."""
        ...

    def feed(self, key: Key, start: int, length: int) -> PyTree:
        """Prepares batches `start..start+length-1` on the host: arrays `[length, ...]`, or None."""
        ...

    def batch(self, key: Key, item: PyTree) -> Batch:
        """Builds one batch in the compiled call, from one item of the feed and the key of the batch."""
        ...


class Dataset(NamedTuple):
    """Sources for training, validation and test; the spec of the data is that of the training source."""

    train: Source
    validation: Source
    test: Source

    @property
    def spec(self) -> Spec:
        """The spec of the training source."""
        return self.train.spec


#: the type of the state of a scenario, a pytree of arrays
State = TypeVar("State")
AnyState = TypeVar("AnyState", contravariant=True)


@runtime_checkable
class Scenario(Protocol[State]):
    """A training algorithm as three pure functions of an immutable state.

    It does not depend on files, clocks or command lines. Its settings are fields of its dataclass, and its parts (nets,
    optimizers, losses) are injected. All methods are traced: the state holds no Python numbers, and keys are arguments.

    Optional members, such as `sample` and `predict`, are in `runner/core/abilities.py`.
    """

    def init(self, key: Key, spec: Spec) -> State:
        """Returns the first state, for data described by a spec."""
        ...

    def step(self, key: Key, state: State, batch: Batch) -> tuple[State, Metrics]:
        """Returns the next state and the metrics of the step, which are scalars."""
        ...

    def evaluate(self, key: Key, state: State, batch: Batch) -> Metrics:
        """Returns metrics of held-out data, with one value per example `[B, ...]`."""
        ...


class Evaluator(Protocol[AnyState]):
    """Evaluates a state on held-out data: a function of these arguments, or an object that can be called like one.

    Optional members, for evaluators that know them before anything is computed, are in `runner.core.abilities`.
    """

    def __call__(
        self, key: Key, scenario: Any, state: AnyState, source: Source, /
    ) -> tuple[Mapping[str, ArrayLike], Figures]:
        """Returns metrics, which are single numbers, and figures."""
        ...


class Writer(Protocol):
    """A receiver of the records and figures of a run; the way to extend a run."""

    def write(self, step: int, metrics: Metrics, figures: Figures) -> None:
        """Writes what is due after `step` steps; both are empty if nothing is."""
        ...

    def close(self) -> None:
        """Closes the writer; called once, however the run ends."""
        ...
