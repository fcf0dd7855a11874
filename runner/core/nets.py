"""Nets of every kind in one calling convention, and their training states."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from runner.core import optimization
from runner.core.leaves import PyTree
from runner.core.lifting import NetLike, lift
from runner.core.protocol import Batch, Key, Metrics, Optimizer, Params
from runner.errors import ConfigError

LOGIT = (1,)  # one output of a discriminator, which may also lack this axis; compared by identity


class TrainState(NamedTuple):
    """The training state of one net."""

    params: Params
    net_state: PyTree  #: state of the net from call to call, such as the moving statistics of BatchNorm
    opt_state: PyTree


def create(
    net: NetLike, optimizer: Optimizer, key: Key, /, *inputs: jax.Array, **outputs: Sequence[int]
) -> TrainState:
    """Returns the training state of a net and its optimizer, initialized on example inputs.

    Args:
        net: any accepted net, see `lift`.
        optimizer: the optimizer of the net.
        key: for the initial parameters.
        inputs: an example of each input `[B, ...]`.
        outputs: the name of the net for messages, and the shape that one output must have, or LOGIT: `create(self.net,
            self.optimizer, key, x, net=(10,))`. Without it, the outputs may have any shape.

    Raises:
        ConfigError: the outputs of the net have another shape.
    """
    lifted = lift(net)
    params, net_state = lifted.init(key, *inputs, is_training=True)
    for name, shape in outputs.items():
        apply = functools.partial(lifted.apply, is_training=False)
        found, _ = jax.eval_shape(apply, params, net_state, key, *inputs)
        _refuse_shape(name, found, len(inputs[0]), [(), (1,)] if shape is LOGIT else [tuple(shape)])
    return TrainState(params, net_state, optimization.start(optimizer, params))


def _refuse_shape(name: str, outputs: PyTree, size: int, shapes: Sequence[tuple[int, ...]]) -> None:
    found = getattr(outputs, "shape", None)
    if found not in [(size, *shape) for shape in shapes]:
        returned = "several arrays" if found is None else _batched(found, size)
        needed = _batched((size, *shapes[0]), size)
        raise ConfigError(f"{name}: returns {returned}, and {needed} is needed; change its last layer")


def _batched(shape: tuple[int, ...], size: int) -> str:
    """Returns a shape for a message, with B for the size of the batch."""
    words = ["B", *shape[1:]] if shape[:1] == (size,) else shape
    return f"[{', '.join(map(str, words))}]"


def call(
    net: NetLike, state: TrainState, key: Key | None, *inputs: jax.Array, is_training: bool
) -> tuple[PyTree, PyTree]:
    """Returns the outputs of a net, and its new net state, which in evaluation mode is the old one.

    An optimizer that averages parameters, such as `optax.contrib.schedule_free`, provides those of evaluation mode.
    """
    params = state.params if is_training else optimization.evaluated(state.params, state.opt_state)
    outputs, net_state = lift(net).apply(params, state.net_state, key, *inputs, is_training=is_training)
    return outputs, net_state if is_training else state.net_state


def apply_gradients(optimizer: Optimizer, state: TrainState, grads: Params, net_state: PyTree) -> TrainState:
    """Returns the training state of one net after an update by its gradients."""
    params, opt_state = optimization.descend(optimizer, grads, state.opt_state, state.params)
    return TrainState(params, net_state, opt_state)


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

    An optimizer that needs the value of the loss as well, such as `optax.lbfgs`, updates them one after another, so
    that each of its line searches sees the loss as it is.

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

    if optimization.needs_values(optimizer):
        return _update_by_values(optimizer, nets, loss_of_params)
    grads, (net_states, metrics) = jax.grad(loss_of_params, has_aux=True)([net.params for net in nets])
    updated = zip(nets, grads, net_states, strict=True)
    return [apply_gradients(optimizer, *each) for each in updated], metrics


def _update_by_values(
    optimizer: Optimizer, nets: Sequence[TrainState], loss: Callable[..., tuple[jax.Array, PyTree]]
) -> tuple[list[TrainState], Metrics]:
    params, opt_states, first = [net.params for net in nets], [], None
    for number, net in enumerate(nets):

        def own(changed, number=number):
            return loss([*params[:number], changed, *params[number + 1 :]])

        (value, auxiliary), grads = jax.value_and_grad(own, has_aux=True)(net.params)
        values = {"value": value, "grad": grads, "value_fn": lambda changed, own=own: own(changed)[0]}
        params[number], opt_state = optimization.descend(
            optimizer, grads, net.opt_state, net.params, **values
        )
        opt_states.append(opt_state)
        first = auxiliary if first is None else first
    assert first is not None  # there is a net
    return list(map(TrainState, params, first[0], opt_states)), first[1]


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
