"""The protocol of a training algorithm, and the helpers that its implementations share."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import optax

from runner.types import Batch, Key, Metrics, Net, Optimizer, Params, Spec, TrainState

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


def lift(net: Any) -> Net:
    """Returns any accepted net in one calling convention.

    Args:
        net: `hk.Transformed`, `hk.TransformedWithState`, either without its key, or a bare pair of functions
            `init(key, *inputs) -> params`, `apply(params, [key,] *inputs) -> outputs`. They are distinguished by
            their type and the names of their parameters.

    Returns:
        `init(key, *inputs) -> params, net_state` and
        `apply(params, net_state, key, *inputs) -> outputs, net_state`.
        Both also take `is_training`, and pass it on if the signature of the net names it.
    """
    init, apply = net
    names = list(inspect.signature(apply).parameters)[1:]
    has_state = names[:1] in (["state"], ["net_state"])
    takes_key = names[has_state : has_state + 1] in (["rng"], ["key"])

    def lifted_init(key, *inputs, is_training=True):
        variables = init(key, *inputs, **_mode(init, is_training))
        return variables if has_state else (variables, {})

    def lifted_apply(params, net_state, key, *inputs, is_training):
        state = (net_state,) if has_state else ()
        keys = (key,) if takes_key else ()
        outputs = apply(params, *state, *keys, *inputs, **_mode(apply, is_training))
        return outputs if has_state else (outputs, net_state)

    return Net(lifted_init, lifted_apply)


def _mode(function, is_training: bool) -> dict[str, bool]:
    return {"is_training": is_training} if "is_training" in inspect.signature(function).parameters else {}


def create(net: Any, optimizer: Optimizer, key: Key, *inputs: jax.Array) -> TrainState:
    """Initializes a net on example inputs, and its optimizer."""
    params, net_state = lift(net).init(key, *inputs, is_training=True)
    return TrainState(params, net_state, optimizer.init(params))


def call(
    net: Any, state: TrainState, key: Key | None, *inputs: jax.Array, is_training: bool
) -> tuple[Any, Any]:
    """Calls a net; returns its outputs and its new net state, which in evaluation mode is the old one."""
    outputs, net_state = lift(net).apply(state.params, state.net_state, key, *inputs, is_training=is_training)
    return outputs, net_state if is_training else state.net_state


def apply_gradients(optimizer: Optimizer, state: TrainState, grads: Params, net_state: Any) -> TrainState:
    """Updates one net by its gradients."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), net_state, opt_state)


def forward(
    net: Any, state: TrainState, key: Key | None, *inputs: jax.Array, is_training: bool = True
) -> tuple[Any, TrainState]:
    """Calls a net, in training mode unless stated otherwise.

    Returns:
        The outputs, and the `TrainState` with the new state of the net (the moving statistics of BatchNorm, say),
        which in evaluation mode is the old one.
    """
    outputs, net_state = call(net, state, key, *inputs, is_training=is_training)
    return outputs, state._replace(net_state=net_state)


def infer(net: Any, state: TrainState, *inputs: jax.Array) -> Any:
    """Returns the outputs of a net in evaluation mode, without a key."""
    return call(net, state, None, *inputs, is_training=False)[0]


def update(
    optimizer: Optimizer,
    net: TrainState,
    loss: Callable[[TrainState], tuple[jax.Array, tuple[TrainState, Metrics]]],
) -> tuple[TrainState, Metrics]:
    """Updates one net by the gradient of a loss with respect to its parameters.

    Args:
        optimizer: of the net.
        net: the net before the update.
        loss: `loss(net) -> value, (net after the forward passes, metrics)`.

    Returns:
        The updated net, and the metrics of the loss.
    """

    def loss_of_all(net):
        value, (after, metrics) = loss(net)
        return value, ((after,), metrics)

    (net,), metrics = update_jointly(optimizer, (net,), loss_of_all)
    return net, metrics


def update_jointly(
    optimizer: Optimizer,
    nets: Sequence[TrainState],
    loss: Callable[..., tuple[jax.Array, tuple[Sequence[TrainState], Metrics]]],
) -> tuple[list[TrainState], Metrics]:
    """Updates several nets by the gradient of one loss, which is computed in a single backward pass.

    Args:
        optimizer: of each of the nets, which each have their own `opt_state`.
        nets: the nets before the update.
        loss: `loss(*nets) -> value, (nets after the forward passes, metrics)`.

    Returns:
        The updated nets, and the metrics of the loss.
    """

    def loss_of_params(params):
        value, (after, metrics) = loss(
            *(net._replace(params=own) for net, own in zip(nets, params, strict=True))
        )
        return value, ([net.net_state for net in after], metrics)

    grads, (net_states, metrics) = jax.grad(loss_of_params, has_aux=True)([net.params for net in nets])
    updated = zip(nets, grads, net_states, strict=True)
    return [apply_gradients(optimizer, *each) for each in updated], metrics


def per_example(values: jax.Array) -> jax.Array:
    """Returns the mean over all axes but the first: `[B, ...] -> [B]`."""
    return values.reshape(len(values), -1).mean(1)


def mean_of_logits(logits: jax.Array) -> jax.Array:
    """Returns the logits `[..., C]` of the mean of K distributions, whose logits are `[K, ..., C]`."""
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=0) - jnp.log(len(logits))


class Statistics(NamedTuple):
    """Mean and standard deviation of the training rows, part of a state so that predictions need no data."""

    mean: jax.Array
    std: jax.Array

    @classmethod
    def of(cls, spec: Spec, name: str, on: bool = True) -> "Statistics":
        """Returns the statistics of a feature; zero and one if it is not floating, or if `on` is false."""
        if on and name in spec.mean:
            return cls(jnp.asarray(spec.mean[name]), jnp.asarray(spec.std[name]))
        return cls(jnp.zeros(()), jnp.ones(()))

    def over(self, shape: tuple[int, ...]) -> "Statistics":
        """Broadcasts the statistics to the shape of one example."""
        return Statistics(*(jnp.broadcast_to(values, shape) for values in self))

    def standardize(self, values: jax.Array) -> jax.Array:
        """Scales floating values to mean zero and deviation one; returns integers unchanged."""
        if not jnp.issubdtype(values.dtype, jnp.floating):
            return values
        mean, std = self._over(values)
        return (values - mean) / std

    def restore(self, values: jax.Array) -> jax.Array:
        """Inverts `standardize`."""
        mean, std = self._over(values)
        return values * std + mean

    def _over(self, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.broadcast_to(self.mean, values.shape), jnp.broadcast_to(self.std, values.shape)


def named_leaves(tree: Any) -> dict[str, Any]:
    """Returns every leaf of a state by its name, such as `net.params.mlp/linear.w`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def begins(name: str, prefixes: Sequence[str]) -> bool:
    """Returns whether a name is one of the prefixes, or continues one with a point or a slash."""
    return any(name == prefix or name.startswith((f"{prefix}.", f"{prefix}/")) for prefix in prefixes)


def refuse_unknown_names(setting: str, prefixes: Sequence[str], tree: Any) -> None:
    """Raises ValueError if one of the prefixes begins the name of no leaf."""
    known = list(named_leaves(tree))
    for prefix in prefixes:
        if not any(begins(name, [prefix]) for name in known):
            raise ValueError(f"{setting}: nothing is named {prefix}; there are {listed(known)}")


def listed(names: Sequence[str], shown: int = 8) -> str:
    """Lists names for a message, up to `shown`, and counts the others."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def copy(tree: Any) -> Any:
    """Copies every leaf, so that two trees in one state share no buffer and both can be donated."""
    return jax.tree.map(jnp.copy, tree)


def split_batches(batch: Batch, count: int) -> list[Batch]:
    """Splits the arrays `[count, B, ...]` of a step that uses several batches into the batches, arrays `[B, ...]`.

    Raises:
        ValueError: an array does not have the leading axis `[count]`.
    """
    for name, array in batch.items():
        if array.ndim < 2 or len(array) != count:
            raise ValueError(
                f"{name}: shape {array.shape} needs a leading axis for the batches of one step (batches_per_step):"
                f" expected ({count}, B, ...)"
            )
    return [{name: array[number] for name, array in batch.items()} for number in range(count)]
