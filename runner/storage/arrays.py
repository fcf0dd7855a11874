"""A tree of arrays in a folder, by Orbax: its names, shapes and dtypes, how it is written and read."""

import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import named_leaves

# Orbax numbers its operations per process: those of two threads fail each other, or hang.
_turn = threading.Lock()


def kinds(tree: Any) -> dict[str, str]:
    """Tells the dtype and shape of every leaf by its name, such as "float32[3, 4]"."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in named_leaves(tree).items()}


def on_host(tree: Any) -> Any:
    """Copies a tree, which may then be donated."""
    return jax.tree.map(_copy, tree)


def write(folder: Path, state: Any, extra: dict) -> None:
    """Writes arrays, and what goes through JSON, into a new folder."""
    import orbax.checkpoint as ocp

    items = ocp.args.Composite(state=ocp.args.StandardSave(state), extra=ocp.args.JsonSave(extra))
    with _turn:
        _checkpointer().save(folder, args=items)


def read(folder: Path, template: Any) -> tuple[Any, dict]:
    """Reads what was written, onto the devices that the template names; Orbax casts where kinds differ."""
    import orbax.checkpoint as ocp

    target = jax.tree.map(_placed, template)
    items = ocp.args.Composite(state=ocp.args.StandardRestore(target), extra=ocp.args.JsonRestore())
    with _turn:
        found = _checkpointer().restore(folder, args=items)
    return found["state"], found["extra"]


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp

    items = {"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()}
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler(**items))


def _copy(leaf: Any) -> Any:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jnp.copy(leaf) if is_key else np.array(leaf)  # `np.asarray` would share the memory that is donated


def _placed(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
