"""Several members of any scenario, trained as one."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from runner.types import Batch, Key, Mean, Metrics, Spec

ABLE = {name: name for name in ("predict", "reconstruct", "features", "sample", "summarize")} | {
    "spread": "predict"
}


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Trains members with keys of their own on the same batches, and predicts by their mean.

    Its state is the members', each leaf `[size, ...]`. A metric `name` is that of the mean prediction where the
    scenario predicts, and elsewhere the members' mean; `name/0`, `name/1` and so on are the members' own. What else
    the scenario can, such as `sample`, the ensemble can too; and where it predicts, there is
    `spread(state, x) -> [B, ...]`, the standard deviation between the members' predictions.

    Source: Lakshminarayanan et al. 2017, without the adversarial training.

    Attributes:
        scenario: of each member.
        size: how many members.
    """

    scenario: Any
    size: int

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"ensemble: {self.size} members are less than 1; null is for no ensemble")

    def __getattr__(self, name: str) -> Any:
        """Gives an ability that only some scenarios have."""
        if name in ABLE and hasattr(self.scenario, ABLE[name]):
            return getattr(self, f"_{name}")
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    @property
    def batches_per_step(self) -> int | None:
        """As many as one member takes, for they share them."""
        return getattr(self.scenario, "batches_per_step", None)

    @property
    def weights(self) -> str:
        """Which weights of each member are judged."""
        return getattr(self.scenario, "weights", "raw")

    def init(self, key: Key, spec: Spec) -> Any:
        """Makes the members' first states, each from a key of its own."""
        return jax.vmap(self.scenario.init, (0, None))(jax.random.split(key, self.size), spec)

    def step(self, key: Key, state: Any, batch: Batch) -> tuple[Any, Metrics]:
        """Makes one step of each member, all on one batch."""
        keys = jax.random.split(key, self.size)
        state, members = jax.vmap(self.scenario.step, (0, 0, None))(keys, state, batch)
        return state, _mean(members) | _each(members, self.size)

    def evaluate(self, key: Key, state: Any, batch: Batch) -> Metrics:
        """Judges the mean prediction, or the members on the average, and each member."""
        keys = jax.random.split(key, self.size)
        members = jax.vmap(self.scenario.evaluate, (0, 0, None))(keys, state, batch)
        if not hasattr(self.scenario, "judge"):
            return _mean(members) | _each(members, self.size)
        first = jax.tree.map(
            lambda leaf: leaf[0], state
        )  # judging needs the data's statistics, which all share
        judged = self.scenario.judge(first, self._predict(state, batch["x"]), batch)
        return judged | _each(members, self.size)

    def _members(self, ability: str, state: Any, x: jax.Array) -> jax.Array:
        return jax.vmap(getattr(self.scenario, ability), (0, None))(state, x)

    def _predict(self, state: Any, x: jax.Array) -> jax.Array:
        outputs = self._members("predict", state, x)
        return self.scenario.combine(outputs) if hasattr(self.scenario, "combine") else outputs.mean(0)

    def _spread(self, state: Any, x: jax.Array) -> jax.Array:
        return self._members("predict", state, x).std(0)

    def _reconstruct(self, state: Any, x: jax.Array) -> jax.Array:
        return self._members("reconstruct", state, x).mean(0)

    def _features(self, state: Any, x: jax.Array) -> jax.Array:
        return jnp.concatenate(list(self._members("features", state, x)), axis=-1)

    def _sample(self, key: Key, state: Any, n: int, **settings: Any) -> jax.Array:
        """Takes samples of the members in turn."""
        each = -(-n // self.size)
        draw = lambda key, state: self.scenario.sample(key, state, each, **settings)
        x = jax.vmap(draw)(jax.random.split(key, self.size), state)
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:n]

    def _summarize(self, means: Metrics) -> Metrics:
        names = [name for name in means if f"{name}/0" in means]
        of = lambda ending: {name: means[f"{name}{ending}"] for name in names}
        members = [self.scenario.summarize(of(f"/{place}")) for place in range(self.size)]
        each = {
            f"{name}/{place}": value for place, member in enumerate(members) for name, value in member.items()
        }
        alone = {name: value for name, value in means.items() if name.partition("/")[0] not in names}
        return self.scenario.summarize(of("") | alone) | each


def _mean(members: Metrics) -> Metrics:
    """Takes the mean of metrics `[K, ...]` over the members."""
    return {
        name: Mean(value.total.sum(0), value.count.sum(0)) if isinstance(value, Mean) else value.mean(0)
        for name, value in members.items()
    }


def _each(members: Metrics, size: int) -> Metrics:
    """Names each member's metrics, but for whole matrices of an example, which are left to the mean prediction."""
    small = {name: value for name, value in members.items() if name != "confusion"}
    return {
        f"{name}/{place}": jax.tree.map(lambda leaf, place=place: leaf[place], value)
        for name, value in small.items()
        for place in range(size)
    }
