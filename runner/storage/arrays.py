"""Trees of arrays in a folder, written and read by Orbax, and their names, shapes and dtypes."""

import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import named_leaves

# Orbax numbers its operations per process: concurrent ones of two threads fail or hang.
_orbax_lock = threading.Lock()


def kinds(tree: Any) -> dict[str, str]:
    """Returns the dtype and shape of every leaf by its name, such as "float32[3, 4]"."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in named_leaves(tree).items()}


def on_host(tree: Any) -> Any:
    """Returns a copy of a tree in host memory; the tree may then be donated."""
    return jax.tree.map(_copy, tree)


def write(folder: Path, state: Any, extra: dict) -> None:
    """Writes the arrays of a state, and extra values that JSON can represent, into a new folder."""
    import orbax.checkpoint as ocp

    items = ocp.args.Composite(state=ocp.args.StandardSave(state), extra=ocp.args.JsonSave(extra))
    with _orbax_lock:
        _checkpointer().save(folder, args=items)


def read(folder: Path, template: Any) -> tuple[Any, dict]:
    """Reads a state, onto the devices of the template, and the extra values; Orbax casts if dtypes or shapes differ."""
    import orbax.checkpoint as ocp

    target = jax.tree.map(_with_sharding, template)
    items = ocp.args.Composite(state=ocp.args.StandardRestore(target), extra=ocp.args.JsonRestore())
    with _orbax_lock:
        restored = _checkpointer().restore(folder, args=items)
    return restored["state"], restored["extra"]


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp

    items = {"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()}
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler(**items))


def _copy(leaf: Any) -> Any:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jnp.copy(leaf) if is_key else np.array(leaf)  # `np.asarray` would share the donated memory


def _with_sharding(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
