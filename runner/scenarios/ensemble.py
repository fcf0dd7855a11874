"""Ensembles: several members of any scenario, trained as one."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from runner.core import Batch, Key, Mean, Metrics, PyTree, Scenario, Spec, abilities
from runner.core.abilities import members, supports
from runner.core.bounds import check, count

SHARED = (
    *(abilities.Predicting, abilities.Reconstructing, abilities.Encoding),
    *(abilities.Sampling, abilities.Summarizing),
)
OPTIONAL = {
    "spread": abilities.Predicting
}  # a member that some ensembles have -> what the scenario needs for it
OPTIONAL |= {name: ability for ability in SHARED for name in members(ability)}


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Trains members with their own keys on the same batches, and predicts by their mean.

    Each leaf of its state is that of the members, `[size, ...]`. A metric `name` is that of the mean prediction if the
    scenario has `predict`, and otherwise the mean over the members; `name/0`, `name/1` and so on are those of the
    members. The ensemble also has the optional methods of the scenario, such as `sample`; and if the scenario has
    `predict`, then `spread(state, x) -> [B, ...]`, the standard deviation between the predictions of the members.

    Source: Lakshminarayanan et al. 2017, without the adversarial training.

    Attributes:
        scenario: the scenario of each member.
        size: the number of members.
    """

    scenario: Scenario[PyTree]
    size: int

    weights = property(lambda self: abilities.weights(self.scenario))  # of each member
    batches_per_step = property(lambda self: abilities.batches_per_step(self.scenario))  # shared
    declared_metrics = property(lambda self: abilities.declared(self.scenario))  # also those of the members

    def __post_init__(self):
        check("ensemble", self.size, count)

    def __getattr__(self, name: str) -> Callable[..., PyTree]:
        """Returns an optional method, if the scenario has what it needs."""
        if name in OPTIONAL and supports(self.scenario, OPTIONAL[name]):
            return getattr(self, f"_{name}")
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def init(self, key: Key, spec: Spec) -> PyTree:
        """Returns the first states of the members, each from its own key."""
        return jax.vmap(self.scenario.init, (0, None))(jax.random.split(key, self.size), spec)

    def step(self, key: Key, state: PyTree, batch: Batch) -> tuple[PyTree, Metrics]:
        """Computes one step of each member, all on the same batch."""
        keys = jax.random.split(key, self.size)
        state, members = jax.vmap(self.scenario.step, (0, 0, None))(keys, state, batch)
        return state, _mean(members) | _each(members, self.size)

    def evaluate(self, key: Key, state: PyTree, batch: Batch) -> Metrics:
        """Evaluates the mean prediction, or the mean of the members, and each member."""
        keys = jax.random.split(key, self.size)
        members = jax.vmap(self.scenario.evaluate, (0, 0, None))(keys, state, batch)
        if not supports(self.scenario, abilities.Judging):
            return _mean(members) | _each(members, self.size)
        # `judge` needs the statistics of the data only, which all members share.
        first = jax.tree.map(lambda leaf: leaf[0], state)
        metrics = self.scenario.judge(first, self._predict(state, batch["x"]), batch)
        return metrics | _each(members, self.size)

    def _members(self, method: str, state: PyTree, x: jax.Array) -> jax.Array:
        return jax.vmap(getattr(self.scenario, method), (0, None))(state, x)

    def _predict(self, state: PyTree, x: jax.Array) -> jax.Array:
        outputs, scenario = self._members("predict", state, x), self.scenario
        return scenario.combine(outputs) if supports(scenario, abilities.Combining) else outputs.mean(0)

    def _spread(self, state: PyTree, x: jax.Array) -> jax.Array:
        return self._members("predict", state, x).std(0)

    def _reconstruct(self, state: PyTree, x: jax.Array) -> jax.Array:
        return self._members("reconstruct", state, x).mean(0)

    def _features(self, state: PyTree, x: jax.Array) -> jax.Array:
        return jnp.concatenate(list(self._members("features", state, x)), axis=-1)

    def _sample(self, key: Key, state: PyTree, n: int, **settings: object) -> jax.Array:
        """Returns samples of the members in turn."""
        each, scenario = -(-n // self.size), self.scenario
        assert supports(scenario, abilities.Sampling)  # checked by `__getattr__`
        draw = lambda key, state: scenario.sample(key, state, each, **settings)
        x = jax.vmap(draw)(jax.random.split(key, self.size), state)
        return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:n]

    def _summarize(self, means: Metrics) -> Metrics:
        names = [name for name in means if f"{name}/0" in means]
        of = lambda ending: {name: means[f"{name}{ending}"] for name in names}
        assert supports(self.scenario, abilities.Summarizing)  # checked by `__getattr__`
        members = [self.scenario.summarize(of(f"/{member}")) for member in range(self.size)]
        each = {
            f"{name}/{number}": value for number, own in enumerate(members) for name, value in own.items()
        }
        alone = {name: value for name, value in means.items() if name.partition("/")[0] not in names}
        return self.scenario.summarize(of("") | alone) | each


def _mean(members: Metrics) -> Metrics:
    """Computes the mean of metrics `[K, ...]` over the members."""
    return {
        name: Mean(value.total.sum(0), value.count.sum(0)) if isinstance(value, Mean) else value.mean(0)
        for name, value in members.items()
    }


def _each(members: Metrics, size: int) -> Metrics:
    """Returns the metrics of each member, except matrices per example, which only the mean prediction has."""
    small = {name: value for name, value in members.items() if name != "confusion"}
    return {
        f"{name}/{member}": jax.tree.map(lambda leaf, member=member: leaf[member], value)
        for name, value in small.items()
        for member in range(size)
    }
