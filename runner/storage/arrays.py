"""Trees of arrays in a folder, written and read by Orbax, and their names, shapes and dtypes."""

import contextlib
import dataclasses
import json
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import Array, PyTree, named_leaves
from runner.errors import StorageError
from runner.process.terminal import is_text

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

AT_ONCE = 2**24  # bytes of leaves that are read back in one call; a larger leaf is read alone
READING = "_read_array"  # begins the names of the coroutines by which Orbax reads arrays
SPECIAL = {*"*?[\\"}  # in the path of a folder
# Orbax numbers its operations per process: concurrent ones of two threads fail or hang.
_orbax_lock = threading.Lock()


def kinds(tree: PyTree) -> dict[str, str]:
    """Returns the dtype and shape of every leaf by its name, such as "float32[3, 4]"."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in named_leaves(tree).items()}


def on_host(tree: PyTree) -> PyTree:
    """Returns a copy of a tree in host memory; the tree may then be donated."""
    return jax.tree.map(_copy, tree)


def write(folder: Path, state: PyTree, extra: dict) -> None:
    """Writes the arrays of a state, and extra values that JSON can represent, into a new folder.

    Raises:
        OSError, ValueError: the folder cannot be written; Orbax raises errors of either type.
    """
    import orbax.checkpoint as ocp

    saved = ocp.args.StandardSave(_without_empty(state))
    items = ocp.args.Composite(state=saved, extra=ocp.args.JsonSave(extra))
    with _orbax_lock, _spelled_plainly(folder) as path, _without_late_reports():
        _checkpointer().save(path, args=items)


def read(folder: Path, template: PyTree) -> tuple[PyTree, dict]:
    """Reads a state, onto the devices of the template, and the extra values; Orbax casts if dtypes or shapes differ."""
    import orbax.checkpoint as ocp

    target = jax.tree.map(_with_sharding, _without_empty(template))
    items = ocp.args.Composite(state=ocp.args.StandardRestore(target), extra=ocp.args.JsonRestore())
    with _orbax_lock, _spelled_plainly(folder) as path, _without_late_reports():
        restored = _checkpointer().restore(path, args=items)
    return jax.tree.map(_or_empty, template, restored["state"]), restored["extra"]


def read_back(folder: Path, state: PyTree, extra: dict) -> None:
    """Checks that a folder that was just written holds these values: names, shapes, dtypes, and every byte.

    Only some leaves are in memory at a time, so that no second state is.

    Args:
        folder: a folder that `write` has written.
        state: the state in host memory, as returned by `on_host`.
        extra: the extra values.

    Raises:
        StorageError: something differs.
    """
    import orbax.checkpoint as ocp

    state = _without_empty(state)
    with _orbax_lock, _spelled_plainly(folder) as path, _without_late_reports():
        arrays, values = ocp.PyTreeCheckpointHandler(), ocp.JsonCheckpointHandler()
        try:
            for part in _parts(state):
                args = ocp.args.PyTreeRestore(part, _uncast(part))
                read = arrays.restore(path / "state", args=args)
                for (name, leaf), copy in zip(named_leaves(part).items(), jax.tree.leaves(read), strict=True):
                    if leaf is not ocp.PLACEHOLDER and not _are_equal(leaf, copy):
                        raise StorageError(f"read back, {name} has other bytes")
        except Exception:  # Orbax raises errors of many types for other names
            _refuse_other_kinds(state, arrays.metadata(path / "state").tree)
            raise
        if json.dumps(values.restore(path / "extra")) != json.dumps(extra):
            raise StorageError("read back, the extra values differ")


def _uncast(part: PyTree) -> PyTree:
    """Returns the arguments that restore a part as it was written, whatever its dtypes are."""
    import orbax.checkpoint as ocp

    args = ocp.checkpoint_utils.construct_restore_args(part)
    return jax.tree.map(lambda each: dataclasses.replace(each, dtype=None), args)


def _refuse_other_kinds(state: PyTree, metadata: PyTree) -> None:
    """Raises StorageError if names, shapes or dtypes differ; asked once only, as tensorstore keeps some memory."""
    found, expected = kinds(metadata), kinds(jax.tree.map(_plain, state))
    for name in expected | found:
        if found.get(name) != expected.get(name):
            raise StorageError(f"read back, {name} is {found.get(name)}, not {expected.get(name)}")


def _parts(state: PyTree) -> Iterator[PyTree]:
    """Yields copies of a state with a placeholder for all leaves but some, which together are all leaves."""
    import orbax.checkpoint as ocp

    leaves, structure = jax.tree.flatten(state)
    parts, size = [[]], 0
    for index, leaf in enumerate(leaves):
        if parts[-1] and size + leaf.nbytes > AT_ONCE:
            parts, size = [*parts, []], 0
        parts[-1].append(index)
        size += leaf.nbytes
    for part in parts:
        chosen = dict.fromkeys(range(len(leaves)), ocp.PLACEHOLDER) | {index: leaves[index] for index in part}
        yield structure.unflatten(chosen.values())


@contextlib.contextmanager
def _without_late_reports() -> Iterator[None]:
    """Keeps arrays that were still being written or read when Orbax failed from printing that its event loop is closed.

    Tensorstore has no handle to wait for them, so that after a failure their reports are ignored for good.
    """
    before = sys.unraisablehook
    sys.unraisablehook = before if isinstance(before, _WithoutLateReports) else _WithoutLateReports(before)
    try:
        yield
    except Exception:
        warnings.filterwarnings("ignore", f"coroutine '{READING}", RuntimeWarning)  # was never awaited
        raise
    sys.unraisablehook = before


class _WithoutLateReports(NamedTuple):
    """A hook for errors that nobody can catch."""

    before: Callable[["sys.UnraisableHookArgs"], object]

    def __call__(self, unraisable: "sys.UnraisableHookArgs") -> None:
        is_reading = getattr(unraisable.object, "__name__", "").startswith(READING)
        if str(unraisable.exc_value) != "Event loop is closed" and not is_reading:
            self.before(unraisable)


@contextlib.contextmanager
def _spelled_plainly(
    folder: Path,
) -> Iterator[Any]:  # handlers are annotated to take Orbax's own class of paths
    """Yields a path of the folder without characters that Orbax takes for a pattern, or tensorstore for a separator.

    Nor does it have bytes that are not text in the encoding of the locale, which tensorstore refuses.
    """
    if not SPECIAL & {*str(folder)} and is_text(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="runner-") as place:
        link = Path(place) / "checkpoints"
        link.symlink_to(folder.parent)
        yield link / folder.name


def _checkpointer() -> "ocp.Checkpointer":
    import orbax.checkpoint as ocp

    items = {"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()}
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler(**items))


def _without_empty(tree: PyTree) -> PyTree:
    """Returns a tree with None for arrays without elements, which Orbax refuses; they have nothing to save."""
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, tree)


def _or_empty(leaf: Array, restored: Array | None) -> Array:
    return jnp.zeros(leaf.shape, leaf.dtype) if restored is None else restored


def _is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _copy(leaf: Array) -> Array:
    return jnp.copy(leaf) if _is_key(leaf) else np.array(leaf)  # `np.asarray` would share the donated memory


def _plain(leaf: Array) -> Array:
    return jax.random.key_data(leaf) if isinstance(leaf, jax.Array) and _is_key(leaf) else leaf


def _are_equal(leaf: Array, other: Array) -> bool:
    if (leaf.dtype, leaf.shape) != (other.dtype, other.shape):
        return False
    one, two = (np.ascontiguousarray(_plain(each)).reshape(-1).view(np.uint8) for each in (leaf, other))
    parts = (slice(start, start + AT_ONCE) for start in range(0, one.size, AT_ONCE))
    return all(np.array_equal(one[part], two[part]) for part in parts)


def _with_sharding(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
