"""One update of the parameters of a net by any optimizer, whatever it needs besides gradients."""

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ScheduleFreeState, schedule_free_eval_params

from runner.core.leaves import PyTree
from runner.core.protocol import Optimizer, Params
from runner.errors import blame


def start(optimizer: Optimizer, params: Params) -> PyTree:
    """Returns the first state of an optimizer.

    Raises:
        ConfigError: the optimizer does not take these parameters.
    """
    try:
        return optimizer.init(params)
    except Exception as error:
        blame(f"optimizer: {name_of(optimizer)}", error)


def descend(
    optimizer: Optimizer, grads: Params, opt_state: PyTree, params: Params, **values: object
) -> tuple[Params, PyTree]:
    """Returns the parameters after one update, and the new state of the optimizer.

    Args:
        optimizer: of these parameters.
        grads: the gradients.
        opt_state: the state of the optimizer.
        params: the parameters.
        values: `value`, `grad` and `value_fn` of the loss, for an optimizer that needs them.

    Raises:
        ConfigError: the optimizer failed.
    """
    try:
        updates, opt_state = optimizer.update(grads, opt_state, params, **values)
    except Exception as error:
        blame(f"optimizer: {name_of(optimizer)}", error)
    return optax.apply_updates(params, updates), opt_state


def name_of(optimizer: Optimizer) -> str:
    """Returns the name of an optimizer for messages."""
    make = getattr(optimizer, "make", None)
    if make is None:  # such as `chain.<locals>.update_fn`
        return getattr(optimizer.update, "__qualname__", repr(optimizer)).split(".")[0]
    return getattr(getattr(make, "func", make), "__name__", repr(make))


def needs_values(optimizer: Optimizer) -> bool:
    """Returns whether an optimizer needs the value of the loss, or the loss as a function, besides the gradient.

    It is tried on two weights by shapes alone, because the signature of a chain does not tell.
    """
    known = getattr(optimizer, "needs_values", None)
    if known is not None:
        return known
    if not isinstance(optimizer, optax.GradientTransformationExtraArgs):
        return False
    return not _updates(optimizer, with_values=False) and _updates(optimizer, with_values=True)


def evaluated(params: Params, opt_state: PyTree) -> Params:
    """Returns the parameters that are evaluated, which for `optax.contrib.schedule_free` are not those trained."""
    found = _averaging(opt_state)
    return schedule_free_eval_params(found[0], params) if found else params


def averages(opt_state: PyTree) -> bool:
    """Returns whether an optimizer averages parameters itself, as `optax.contrib.schedule_free` does."""
    return bool(_averaging(opt_state))


def _averaging(opt_state: PyTree) -> list[ScheduleFreeState]:
    is_average = lambda part: isinstance(part, ScheduleFreeState)
    return [part for part in jax.tree.leaves(opt_state, is_leaf=is_average) if is_average(part)]


def values_at(params: Params) -> dict[str, object]:
    """Returns what an optimizer may need besides the gradient, for half the squared norm of the parameters as the loss.

    The gradient is then the parameters.
    """
    half_square = lambda params: 0.5 * sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(params))
    return {"value": half_square(params), "grad": params, "value_fn": half_square}


WEIGHTS = {"w": jax.ShapeDtypeStruct((1, 2), jnp.float32)}


def _updates(optimizer: Optimizer, with_values: bool) -> bool:
    def updated(params):
        values = values_at(params) if with_values else {}
        return optimizer.update(params, optimizer.init(params), params, **values)

    try:
        jax.eval_shape(updated, WEIGHTS)
    except Exception:  # whatever a library raises
        return False
    return True
