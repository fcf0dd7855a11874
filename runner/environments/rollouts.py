"""Acting in environments: transitions to learn from, whole episodes for evaluation, and advantage estimates.

Several copies of one environment run in parallel: E is their number, and T the number of steps of each.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from runner.core import Environment, Key, Mean, Metrics, PyTree

MOST_TRANSITIONS = 2**31 - 1  # the most that int32 can index


class Transitions(NamedTuple):
    """Steps in environments: [T, E, ...] of one rollout, or [B, ...] of a minibatch."""

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array  # of the action, under the policy that chose it
    reward: jax.Array
    after: jax.Array  # the observation that followed, before any reset
    terminated: jax.Array  # whether the episode ended so that no further reward was possible
    ended: jax.Array  # whether the episode was terminated, or truncated by a time limit


class Rollout(NamedTuple):
    """The result of `collect`."""

    states: PyTree  # of the copies after the last step, each leaf [E, ...]
    returns: jax.Array  # the sums of rewards of the unfinished episodes, [E]
    seen: Transitions  # [T, E, ...]
    finished: Mean  # the mean return of the episodes that ended


def check_sizes(environments: int, rollout: int, minibatches: int) -> None:
    """Checks the sizes of a rollout.

    Raises:
        ValueError: there are more transitions than can be numbered, or they do not divide into the minibatches.
    """
    if environments * rollout > MOST_TRANSITIONS:
        raise ValueError(f"environments: {environments} x {rollout} transitions are too many to number")
    if environments * rollout % minibatches:
        raise ValueError(f"minibatches: {minibatches} do not divide {environments} x {rollout} transitions")


def reset(environment: Environment, key: Key, count: int) -> PyTree:
    """Returns the first states of `count` episodes, each leaf [E, ...]."""
    return jax.vmap(environment.reset)(jax.random.split(key, count))


def collect(
    environment: Environment,
    act: Callable[[Key, jax.Array], tuple[jax.Array, jax.Array]],
    key: Key,
    steps: int,
    states: PyTree,
    returns: jax.Array,
) -> Rollout:
    """Runs `steps` steps in every copy; a copy whose episode has ended starts a new one.

    Args:
        environment: the environment.
        act: `act(key, observations [E, ...]) -> actions [E], log probabilities [E]`.
        key: random key of the actions, the steps and the new episodes.
        steps: the number of steps, T.
        states: the states of the copies, each leaf [E, ...].
        returns: the sums of rewards of the unfinished episodes, [E].
    """

    def step(carry, key):
        states, returns = carry
        action_key, step_key, reset_key = jax.random.split(key, 3)
        observation = jax.vmap(environment.observe)(states)
        action, log_probability = act(action_key, observation)
        step_keys = jax.random.split(step_key, len(returns))
        moved, reward, terminated, truncated = jax.vmap(environment.step)(step_keys, states, action)
        after, ended = jax.vmap(environment.observe)(moved), terminated | truncated
        returns = returns + reward
        fresh = reset(environment, reset_key, len(returns))
        choose = lambda new, old: jnp.where(ended.reshape(-1, *[1] * (new.ndim - 1)), new, old)
        carry = jax.tree.map(choose, fresh, moved), jnp.where(ended, 0.0, returns)
        seen = Transitions(observation, action, log_probability, reward, after, terminated, ended)
        return carry, (seen, Mean((returns * ended).sum(), ended.sum()))

    (states, returns), (seen, finished) = jax.lax.scan(step, (states, returns), jax.random.split(key, steps))
    return Rollout(states, returns, seen, Mean(finished.total.sum(), finished.count.sum()))


def play(environment: Environment, act: Callable[[jax.Array], jax.Array], key: Key, count: int) -> jax.Array:
    """Plays `count` whole episodes in parallel, and returns the sum of rewards of each, [E].

    Args:
        environment: the environment.
        act: `act(observations [E, ...]) -> actions [E]`.
        key: random key of the first states and of the steps.
        count: the number of episodes.
    """
    reset_key, play_key = jax.random.split(key)

    def step(carry):
        number, states, alive, returns = carry
        action = act(jax.vmap(environment.observe)(states))
        keys = jax.random.split(jax.random.fold_in(play_key, number), count)
        states, reward, terminated, truncated = jax.vmap(environment.step)(keys, states, action)
        return number + 1, states, alive & ~(terminated | truncated), returns + reward * alive

    first = (0, reset(environment, reset_key, count), jnp.ones(count, bool), jnp.zeros(count))
    return jax.lax.while_loop(lambda carry: carry[2].any(), step, first)[3]


def advantages(
    seen: Transitions, predict: Callable[[jax.Array], jax.Array], discount: float, trace_decay: float
) -> tuple[jax.Array, jax.Array]:
    """Computes generalized advantage estimates and the targets of the value net, both [T, E].

    A truncated episode is credited with the value of the observation that followed, a terminated one with nothing.

    Args:
        seen: the transitions of one rollout.
        predict: the value net: observations [N, ...] -> expected returns [N].
        discount: factor of a reward one step later.
        trace_decay: lambda; 0 relies on the values, 1 on the rewards.

    Source: Schulman et al. 2016, equation 16.
    """
    value, value_after = (
        predict(flatten(x)).reshape(seen.reward.shape) for x in (seen.observation, seen.after)
    )
    errors = seen.reward + discount * jnp.where(seen.terminated, 0.0, value_after) - value
    carried = discount * trace_decay * jnp.where(seen.ended, 0.0, 1.0)
    trace = lambda later, row: (row[0] + row[1] * later,) * 2
    _, values = jax.lax.scan(trace, jnp.zeros_like(errors[0]), (errors, carried), reverse=True)
    return values, values + value


def flatten(x: jax.Array) -> jax.Array:
    """Merges the axes of steps and of copies: `[T, E, ...] -> [T * E, ...]`."""
    return x.reshape(-1, *x.shape[2:])


def learn_by_minibatches(
    learn: Callable[..., tuple[PyTree, Metrics]],
    nets: PyTree,
    rows: tuple,
    keys: tuple[Key, Key],
    epochs: int,
    minibatches: int,
) -> tuple[PyTree, Metrics]:
    """Trains for `epochs` passes over rows, each in a new random order.

    Args:
        learn: `learn(key, nets, *minibatch) -> nets, metrics`, one update on some of the rows, each leaf [B, ...].
        nets: the nets before the first update.
        rows: the arguments of `learn` for all rows, each leaf [N, ...].
        keys: the random keys of the orders and of the updates.
        epochs: the number of passes.
        minibatches: the number of updates in a pass, a divisor of N.

    Returns:
        The nets after the last update, and the mean of the metrics over all updates.
    """
    count = len(jax.tree.leaves(rows)[0])
    orders = jax.vmap(lambda key: jax.random.permutation(key, count))(jax.random.split(keys[0], epochs))
    orders = orders.reshape(epochs * minibatches, -1)

    def step(nets, item):
        key, order = item
        return learn(key, nets, *jax.tree.map(lambda leaf: leaf[order], rows))

    nets, metrics = jax.lax.scan(step, nets, (jax.random.split(keys[1], len(orders)), orders))
    return nets, jax.tree.map(jnp.mean, metrics)
