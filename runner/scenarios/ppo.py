"""Reinforcement learning by proximal policy optimisation: the data is what the policy does."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from runner.scenario import check_weights, create, forward, infer, update
from runner.types import Batch, Environment, Key, Mean, Metrics, Optimizer, Spec, TrainState

MOST_TRANSITIONS = 2**31 - 1


class PPOState(NamedTuple):
    """All that one step hands to the next."""

    policy: TrainState
    value: TrainState
    environments: Any  # their states [E, ...]
    returns: jax.Array  # of the episodes under way [E]


class Transitions(NamedTuple):
    """What was seen, done and got: [T, E, ...] of one rollout, or [B, ...] of a minibatch."""

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array  # of the action, by the policy that took it
    reward: jax.Array
    after: jax.Array  # the observation that followed, before any reset
    terminated: jax.Array  # nothing more could be got
    ended: jax.Array  # terminated, or cut off by time


@dataclasses.dataclass(frozen=True)
class PPO:
    """Trains a policy by what it gets in an environment, and a net that foretells how much more there is to get.

    One step lets `environments` copies of the environment run for `rollout` steps, then makes `epochs` passes over
    these transitions in `minibatches` updates each. An episode cut off by time is worth what the value net expects
    of it.

    Source: Schulman et al. 2017, equations 7 and 9 (with nets of their own for policy and value, so that no weight
    joins their losses), and Schulman et al. 2016, equation 16, for the advantages, which each minibatch standardises.

    Attributes:
        policy: observations [B, ...] -> logits of the actions [B, actions].
        value: observations [B, ...] -> expected return [B].
        policy_optimizer: of the policy.
        value_optimizer: of the value net.
        environment: that is acted in.
        environments: how many copies of it run side by side.
        rollout: steps of each in one step of training.
        epochs: passes over the transitions of one rollout.
        minibatches: updates in a pass.
        discount: of a reward one step later.
        trace_decay: lambda of the advantages: 0 trusts the value net, 1 the rewards.
        clip: how far a probability's ratio to the old one is followed from 1.
        entropy_weight: reward of the policy's entropy, or None.
        episodes: that evaluation plays, with the likeliest action each time.
    """

    policy: Any
    value: Any
    policy_optimizer: Optimizer
    value_optimizer: Optimizer
    environment: Environment
    environments: int = 16
    rollout: int = 128
    epochs: int = 4
    minibatches: int = 4
    discount: float = 0.99
    trace_decay: float = 0.95
    clip: float = 0.2
    entropy_weight: float | None = 0.01
    episodes: int = 20

    def __post_init__(self):
        for name in ("environments", "rollout", "epochs", "minibatches", "episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 1")
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not from 0 to 1")
        if not self.clip > 0:
            raise ValueError(f"clip: {self.clip} is not above 0")
        check_weights(self, "entropy_weight")
        if self.environments * self.rollout > MOST_TRANSITIONS:
            raise ValueError(
                f"environments: {self.environments} x {self.rollout} transitions are too many to number"
            )
        if self.environments * self.rollout % self.minibatches:
            made = f"{self.environments} x {self.rollout} transitions"
            raise ValueError(f"minibatches: {self.minibatches} do not divide {made}")

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Gives the policy a logit for each action, the value net one number.

        Raises:
            ValueError: there is data, which would not be used.
        """
        if spec.features:
            raise ValueError("PPO makes its own data: take dataset=nothing")
        return {"policy": (self.environment.actions,), "value": ()}

    def updates_per_step(self) -> dict[str, int]:
        """Tells the schedules how fast updates pass."""
        return dict.fromkeys(("policy_optimizer", "value_optimizer"), self.epochs * self.minibatches)

    def init(self, key: Key, spec: Spec) -> PPOState:
        """Makes the first state, at the beginning of an episode in each environment."""
        policy_key, value_key, reset_key = jax.random.split(key, 3)
        observation = jnp.zeros((1, *self.environment.observation_shape))
        return PPOState(
            create(self.policy, self.policy_optimizer, policy_key, observation),
            create(self.value, self.value_optimizer, value_key, observation),
            jax.vmap(self.environment.reset)(jax.random.split(reset_key, self.environments)),
            jnp.zeros(self.environments),
        )

    def step(self, key: Key, state: PPOState, batch: Batch) -> tuple[PPOState, Metrics]:
        """Plays one rollout and learns from it."""
        act_key, order_key, learn_key = jax.random.split(key, 3)
        state, (seen, finished) = jax.lax.scan(self._act, state, jax.random.split(act_key, self.rollout))
        ask = lambda x: infer(self.value, state.value, x.reshape(-1, *x.shape[2:]))
        values, after = (ask(x).reshape(seen.reward.shape) for x in (seen.observation, seen.after))
        advantages = self.advantages(seen.reward, values, after, seen.terminated, seen.ended)
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (seen, advantages, advantages + values))
        orders = jax.vmap(lambda key: jax.random.permutation(key, len(rows[1])))
        order = orders(jax.random.split(order_key, self.epochs)).reshape(self.epochs * self.minibatches, -1)
        keys = jax.random.split(learn_key, len(order))
        learn = lambda nets, item: self._learn(item[0], nets, jax.tree.map(lambda x: x[item[1]], rows))
        (policy, value), metrics = jax.lax.scan(learn, (state.policy, state.value), (keys, order))
        returns = Mean(finished.total.sum(), finished.count.sum())
        means = {name: values.mean() for name, values in metrics.items()}
        return state._replace(policy=policy, value=value), means | {"return": returns}

    def _act(self, state: PPOState, key: Key):
        """Makes one step in each environment."""
        action_key, step_key, reset_key = jax.random.split(key, 3)
        observation = jax.vmap(self.environment.observe)(state.environments)
        logits = infer(self.policy, state.policy, observation)
        action = jax.random.categorical(action_key, logits)
        keys = jax.random.split(step_key, self.environments)
        moved, reward, terminated, truncated = jax.vmap(self.environment.step)(
            keys, state.environments, action
        )
        ended, returns = terminated | truncated, state.returns + reward
        fresh = jax.vmap(self.environment.reset)(jax.random.split(reset_key, self.environments))
        choose = lambda new, old: jnp.where(ended.reshape(-1, *[1] * (new.ndim - 1)), new, old)
        transitions = Transitions(
            observation,
            action,
            _log_probability(logits, action),
            reward,
            jax.vmap(self.environment.observe)(moved),
            terminated,
            ended,
        )
        environments = jax.tree.map(choose, fresh, moved)
        state = state._replace(environments=environments, returns=jnp.where(ended, 0.0, returns))
        return state, (transitions, Mean((returns * ended).sum(), ended.sum()))

    def advantages(self, reward, value, after, terminated, ended) -> jax.Array:
        """Gives the generalised advantage estimates, all [T, E]; `after` is the value of what followed."""
        errors = reward + self.discount * jnp.where(terminated, 0.0, after) - value
        carried = self.discount * self.trace_decay * jnp.where(ended, 0.0, 1.0)
        trace = lambda later, row: (row[0] + row[1] * later,) * 2
        return jax.lax.scan(trace, jnp.zeros_like(errors[0]), (errors, carried), reverse=True)[1]

    def _learn(self, key: Key, nets: tuple[TrainState, TrainState], rows: tuple):
        """Updates both nets once, on one minibatch."""
        seen, advantages, targets = rows
        policy_key, value_key = jax.random.split(key)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        def policy_loss(policy):
            logits, policy = forward(self.policy, policy, policy_key, seen.observation)
            change = _log_probability(logits, seen.action) - seen.log_probability
            ratio = jnp.exp(change)
            kept = jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - self.clip, 1 + self.clip) * advantages)
            entropy = optax.losses.softmax_cross_entropy(logits, jax.nn.softmax(logits)).mean()
            loss = -kept.mean()
            metrics = {"policy_loss": loss, "entropy": entropy, "approximate_kl": (ratio - 1 - change).mean()}
            metrics["clip_fraction"] = (jnp.abs(ratio - 1) > self.clip).mean()
            total = loss if self.entropy_weight is None else loss - self.entropy_weight * entropy
            return total, (policy, metrics)

        def value_loss(value):
            expected, value = forward(self.value, value, value_key, seen.observation)
            loss = optax.losses.l2_loss(expected, targets).mean()
            return loss, (value, {"value_loss": loss})

        policy, metrics = update(self.policy_optimizer, nets[0], policy_loss)
        value, value_metrics = update(self.value_optimizer, nets[1], value_loss)
        return (policy, value), metrics | value_metrics

    def evaluate(self, key: Key, state: PPOState, batch: Batch) -> Metrics:
        """Plays episodes with the likeliest action each time, and gives their returns [episodes]."""
        reset_key, play_key = jax.random.split(key)

        def move(carry):
            number, environments, alive, returns = carry
            observation = jax.vmap(self.environment.observe)(environments)
            logits = infer(self.policy, state.policy, observation)
            keys = jax.random.split(jax.random.fold_in(play_key, number), self.episodes)
            environments, reward, *ends = jax.vmap(self.environment.step)(
                keys, environments, logits.argmax(-1)
            )
            return number + 1, environments, alive & ~(ends[0] | ends[1]), returns + reward * alive

        fresh = jax.vmap(self.environment.reset)(jax.random.split(reset_key, self.episodes))
        begun = (0, fresh, jnp.ones(self.episodes, bool), jnp.zeros(self.episodes))
        return {"return": jax.lax.while_loop(lambda carry: carry[2].any(), move, begun)[3]}


def _log_probability(logits: jax.Array, action: jax.Array) -> jax.Array:
    return -optax.losses.softmax_cross_entropy_with_integer_labels(logits, action)
