"""Nets of every kind in one calling convention, and their training states."""

import inspect
from collections.abc import Callable, Sequence
from typing import NamedTuple

import haiku as hk
import jax
import optax

from runner.core.leaves import PyTree
from runner.core.protocol import Batch, Key, Metrics, Optimizer, Params

Net = hk.TransformedWithState  #: a net in the calling convention of `lift`
NetLike = tuple[Callable[..., PyTree], Callable[..., PyTree]]  #: any accepted net, see `lift`


class TrainState(NamedTuple):
    """The training state of one net."""

    params: Params
    net_state: PyTree  #: state of the net from call to call, such as the moving statistics of BatchNorm
    opt_state: PyTree


def lift(net: NetLike) -> Net:
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
    has_key = names[has_state : has_state + 1] in (["rng"], ["key"])

    def lifted_init(key, *inputs, is_training=True):
        variables = init(key, *inputs, **_mode(init, is_training))
        return variables if has_state else (variables, {})

    def lifted_apply(params, net_state, key, *inputs, is_training):
        state = (net_state,) if has_state else ()
        keys = (key,) if has_key else ()
        outputs = apply(params, *state, *keys, *inputs, **_mode(apply, is_training))
        return outputs if has_state else (outputs, net_state)

    return Net(lifted_init, lifted_apply)


def _mode(function, is_training: bool) -> dict[str, bool]:
    return {"is_training": is_training} if "is_training" in inspect.signature(function).parameters else {}


def create(net: NetLike, optimizer: Optimizer, key: Key, *inputs: jax.Array) -> TrainState:
    """Returns the training state of a net and its optimizer, initialized on example inputs."""
    params, net_state = lift(net).init(key, *inputs, is_training=True)
    return TrainState(params, net_state, optimizer.init(params))


def call(
    net: NetLike, state: TrainState, key: Key | None, *inputs: jax.Array, is_training: bool
) -> tuple[PyTree, PyTree]:
    """Returns the outputs of a net, and its new net state, which in evaluation mode is the old one."""
    outputs, net_state = lift(net).apply(state.params, state.net_state, key, *inputs, is_training=is_training)
    return outputs, net_state if is_training else state.net_state


def apply_gradients(optimizer: Optimizer, state: TrainState, grads: Params, net_state: PyTree) -> TrainState:
    """Returns the training state of one net after an update by its gradients."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), net_state, opt_state)


def forward(
    net: NetLike, state: TrainState, key: Key | None, *inputs: jax.Array, is_training: bool = True
) -> tuple[PyTree, TrainState]:
    """Calls a net, by default in training mode.

    Returns:
        The outputs, and the `TrainState` with the new net state (such as the moving statistics of BatchNorm), which
        in evaluation mode is the old one.
    """
    outputs, net_state = call(net, state, key, *inputs, is_training=is_training)
    return outputs, state._replace(net_state=net_state)


def infer(net: NetLike, state: TrainState, *inputs: jax.Array) -> PyTree:
    """Returns the outputs of a net in evaluation mode, without a key."""
    return call(net, state, None, *inputs, is_training=False)[0]


def update(
    optimizer: Optimizer,
    net: TrainState,
    loss: Callable[[TrainState], tuple[jax.Array, tuple[TrainState, Metrics]]],
) -> tuple[TrainState, Metrics]:
    """Updates one net by the gradient of a loss with respect to its parameters.

    Args:
        optimizer: the optimizer of the net.
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
        optimizer: the optimizer of each of the nets, which each have their own `opt_state`.
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


def split_batches(batch: Batch, count: int) -> list[Batch]:
    """Splits the arrays `[count, B, ...]` of a step that uses several batches into the batches, arrays `[B, ...]`.

    A batch that lacks the leading axis, but has B = `count` rows, cannot be distinguished from `[count, B, ...]` here.
    A scenario that knows the shape of an example can compare the batches with it, as `GAN` does.

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
