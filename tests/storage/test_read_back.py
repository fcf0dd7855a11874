"""A checkpoint is read back before it is sealed, and its path may contain any characters."""

import gc
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from runner.errors import Misfit, StorageError
from runner.storage import arrays
from runner.storage.checkpoints import Checkpoints


class State(NamedTuple):
    params: dict
    moments: tuple
    key: jax.Array
    step: jax.Array


def state(number=0):
    w = jnp.arange(12, dtype=jnp.bfloat16).reshape(3, 4) + number
    params = {"mlp/~/linear": {"w": w, "b": jnp.full(4, jnp.nan)}}
    return State(params, (None, jnp.zeros((2, 3))), jax.random.key(number, impl="rbg"), jnp.int32(number))


def replaced(**parts):
    """Returns a write of another state or other extra values than those asked for."""
    own = arrays.write

    def write(folder, saved, extra):
        own(folder, parts.get("state", saved), parts.get("extra", extra))

    return write


@pytest.mark.parametrize(
    "name", ["lr[new]", "[ab]", "a*", "**", "a?b", "{a,b}", "a\\b", "a b", "a%20b", "#1", "a=[1,2]", "é\n"]
)
def test_a_state_comes_back_from_a_folder_of_any_name(tmp_path, name):
    with Checkpoints(tmp_path / name / "c") as checkpoints:
        checkpoints.save(3, state(3), {"rows": [0.1]})
    step, restored, extra = Checkpoints(tmp_path / name / "c").restore(jax.eval_shape(state))
    assert (step, extra) == (3, {"rows": [0.1]})
    assert jax.tree.all(jax.tree.map(arrays._are_equal, restored, state(3)))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_arrays_without_elements_come_back(tmp_path):
    saved = {"w": jnp.arange(3.0), "rest": (jnp.zeros((0, 4), jnp.bfloat16), jnp.zeros(0, int))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, saved, {})
    _, restored, _ = Checkpoints(tmp_path).restore(jax.eval_shape(lambda: saved))
    assert arrays.kinds(restored) == arrays.kinds(saved)
    assert jax.tree.all(jax.tree.map(arrays._are_equal, restored, saved))
    with pytest.raises(Misfit, match=r"rest.0 is bfloat16\[0, 4\] in it, and bfloat16\[0, 5\]"):
        Checkpoints(tmp_path).restore({**saved, "rest": (jnp.zeros((0, 5), jnp.bfloat16), jnp.zeros(0, int))})


@pytest.mark.parametrize("name", ["plain", "lr[new]"])
def test_orbax_alone_reads_what_was_saved(tmp_path, name):
    with Checkpoints(tmp_path / name) as checkpoints:
        checkpoints.save(2, {"w": jnp.arange(3.0)}, {})
    alone = ocp.StandardCheckpointer().restore(tmp_path / name / "2" / "state")
    np.testing.assert_array_equal(alone["w"], [0, 1, 2])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"state": state(1)}, "params.mlp/~/linear.w has other bytes"),
        ({"state": state()._replace(step=jnp.uint32(0))}, r"step is uint32\[\], not int32\[\]"),
        ({"state": state()._replace(step=jnp.zeros(1, int))}, r"step is int32\[1\], not int32\[\]"),
        ({"state": state()._replace(key=jax.random.key(5, impl="rbg"))}, "key has other bytes"),
        ({"state": state()._replace(moments=(None, None))}, r"moments.1 is None, not float32\[2, 3\]"),
        ({"state": state()._replace(moments=(jnp.ones(1),) * 2)}, r"moments.1 is float32\[1\], not float32"),
        ({"extra": {"rows": [0.2]}}, "the extra values differ"),
    ],
)
@pytest.mark.parametrize("at_once", [2**24, 1], ids=["together", "one by one"])
def test_a_checkpoint_that_does_not_hold_what_was_saved_is_a_failed_save(
    tmp_path, monkeypatch, parts, message, at_once
):
    monkeypatch.setattr(arrays, "AT_ONCE", at_once)
    monkeypatch.setattr(arrays, "write", replaced(**parts))
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(7, state(), {"rows": [0.1]})
    with pytest.raises(StorageError, match=rf"c/7: was not saved: .*read back, {message}"):
        checkpoints.close()
    assert checkpoints.steps == []


def test_metadata_of_leaves_which_stay_in_memory_are_asked_for_only_to_explain_a_failed_save(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ocp.PyTreeCheckpointHandler, "metadata", None)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(), {})
    assert checkpoints.steps == [1]


def test_a_checkpoint_of_which_no_leaf_was_written_is_a_failed_save(tmp_path, monkeypatch):
    own = arrays.write

    def write(folder, *values):
        own(folder, *values)
        (folder / "state" / "manifest.ocdbt").unlink()

    monkeypatch.setattr(arrays, "write", write)
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(7, {"w": jnp.ones(3)}, {})
    with pytest.raises(StorageError, match="c/7: was not saved"):
        checkpoints.close()


def test_no_more_is_read_at_once_than_the_largest_leaf(monkeypatch):
    tree = {f"w{number}": np.zeros(size, np.uint8) for number, size in enumerate((3, 4, 50, 2, 6, 7, 1))}
    monkeypatch.setattr(arrays, "AT_ONCE", 10)
    parts = [
        [leaf.nbytes for leaf in part.values() if leaf is not ocp.PLACEHOLDER] for part in arrays._parts(tree)
    ]
    assert parts == [[3, 4], [50], [2, 6], [7, 1]]


def test_a_save_into_a_folder_that_is_renamed_meanwhile_is_one_error_and_prints_nothing(tmp_path, capfd):
    state = {str(number): np.zeros((200, 500), np.float32) for number in range(60)}

    def rename():
        while not any(tmp_path.glob("run/*/state*/ocdbt*")):
            pass
        (tmp_path / "run").rename(tmp_path / "moved")

    thread = threading.Thread(target=rename)
    thread.start()
    with pytest.raises((OSError, ValueError)):
        arrays.write(tmp_path / "run" / "3", state, {})
    thread.join()
    gc.collect()
    assert "Event loop is closed" not in capfd.readouterr().err


def test_arrays_that_cannot_be_read_are_one_error_and_print_nothing(tmp_path, capfd):
    state = {str(number): np.zeros((200, 500), np.float32) for number in range(60)}
    arrays.write(tmp_path / "3", state, {})
    with pytest.raises(ValueError, match="Requested shape"):
        arrays.read(tmp_path / "3", state | {"0": np.zeros(3, np.float32)})
    gc.collect()
    assert capfd.readouterr().err == ""
