"""Reinforcement learning by proximal policy optimization: the data comes from the actions of the policy."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from runner.core import Batch, Environment, Key, Metrics, NetLike, Optimizer, PyTree, Spec, TrainState
from runner.core.bounds import count, optional, positive, require, share, weight
from runner.core.nets import create, forward, infer, update
from runner.environments import rollouts
from runner.losses.policies import DECLARED, clipped_surrogate, draw_action


class PPOState(NamedTuple):
    """The state that one step passes to the next."""

    policy: TrainState
    value: TrainState
    environments: PyTree  #: the states of the copies, each leaf [E, ...]
    returns: jax.Array  #: the sums of rewards of the episodes under way, [E]


@dataclasses.dataclass(frozen=True)
class PPO:
    """Trains a policy by its rewards in an environment, and a value net to predict the rewards to come.

    One step acts in `environments` copies of the environment for `rollout` steps each, then makes `epochs` passes over
    the transitions, of `minibatches` updates each.

    Source: Schulman et al. 2017, equations 7 and 9, with separate nets for policy and value, so that no weight joins
    their losses; the advantages of `rollouts.advantages` are standardized in each minibatch.

    Attributes:
        policy: observations [B, ...] -> logits of the actions [B, actions].
        value: observations [B, ...] -> expected return [B].
        policy_optimizer: of the policy.
        value_optimizer: of the value net.
        environment: the environment to act in.
        environments: the number of its copies, which run side by side.
        rollout: steps of each copy in one step of training.
        epochs: passes over the transitions of one rollout.
        minibatches: updates in a pass.
        discount: of a reward one step later.
        trace_decay: lambda of the advantages: 0 trusts the value net, 1 the rewards.
        clip: how far the ratio of a probability to the old one may move from 1 before its gradient is cut off.
        entropy_weight: weight of the entropy of the policy as a reward, or None.
        episodes: the number of episodes of an evaluation, which takes the most probable action at each step.
    """

    policy: NetLike
    value: NetLike
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

    declared_metrics = DECLARED

    def __post_init__(self):
        require(self, environments=count, rollout=count, epochs=count, minibatches=count, episodes=count)
        require(self, discount=share, trace_decay=share, clip=positive, entropy_weight=optional(weight))
        rollouts.check_sizes(self.environments, self.rollout, self.minibatches)

    def output_shapes(self, spec: Spec) -> dict[str, tuple[int, ...]]:
        """Returns one logit for each action, and one value; raises ValueError if there is data, which goes unused."""
        if spec.features:
            raise ValueError("PPO collects its own data: use dataset=nothing")
        return {"policy": (self.environment.actions,), "value": ()}

    def updates_per_step(self) -> dict[str, int]:
        """Returns the number of updates of each net, by which schedules count."""
        return dict.fromkeys(("policy_optimizer", "value_optimizer"), self.epochs * self.minibatches)

    def init(self, key: Key, spec: Spec) -> PPOState:
        """Returns the first state, at the beginning of an episode in each environment."""
        keys, x = jax.random.split(key, 3), jnp.zeros((1, *self.environment.observation_shape))
        policy = create(self.policy, self.policy_optimizer, keys[0], x, policy=(self.environment.actions,))
        value = create(self.value, self.value_optimizer, keys[1], x, value=())
        environments = rollouts.reset(self.environment, keys[2], self.environments)
        return PPOState(policy, value, environments, jnp.zeros(self.environments))

    def step(self, key: Key, state: PPOState, batch: Batch) -> tuple[PPOState, Metrics]:
        """Acts in the environments, then learns from the transitions; `return` is that of the episodes that ended."""
        act_key, order_key, learn_key = jax.random.split(key, 3)
        act = lambda key, observation: draw_action(key, infer(self.policy, state.policy, observation))
        new = rollouts.collect(self.environment, act, act_key, self.rollout, *state[2:])
        predict = lambda observation: infer(self.value, state.value, observation)
        advantages, targets = rollouts.advantages(new.seen, predict, self.discount, self.trace_decay)
        rows = jax.tree.map(rollouts.flatten, (new.seen, advantages, targets))
        (policy, value_net), metrics = rollouts.learn_by_minibatches(
            self._learn, state[:2], rows, (order_key, learn_key), self.epochs, self.minibatches
        )
        return PPOState(policy, value_net, new.states, new.returns), metrics | {"return": new.finished}

    def _learn(self, key: Key, nets: tuple[TrainState, TrainState], seen, advantages, targets):
        """Updates both nets once, on one minibatch."""
        policy_key, value_key = jax.random.split(key)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        def policy_loss(policy):
            logits, policy = forward(self.policy, policy, policy_key, seen.observation)
            values = clipped_surrogate(logits, seen.action, seen.log_probability, advantages, self.clip)
            metrics = jax.tree.map(jnp.mean, values)
            bonus = 0.0 if self.entropy_weight is None else self.entropy_weight * metrics["entropy"]
            return metrics["policy_loss"] - bonus, (policy, metrics)

        def value_loss(value):
            predicted, value = forward(self.value, value, value_key, seen.observation)
            loss = optax.losses.l2_loss(predicted, targets).mean()
            return loss, (value, {"value_loss": loss})

        policy, metrics = update(self.policy_optimizer, nets[0], policy_loss)
        value, value_metrics = update(self.value_optimizer, nets[1], value_loss)
        return (policy, value), metrics | value_metrics

    def evaluate(self, key: Key, state: PPOState, batch: Batch) -> Metrics:
        """Plays episodes with the most probable action at each step; returns their returns, [episodes]."""
        act = lambda observation: infer(self.policy, state.policy, observation).argmax(-1)
        return {"return": rollouts.play(self.environment, act, key, self.episodes)}
