import errno
import math
import shutil
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import faults.calls
import faults.damage
import faults.threads
from faults import subject
from runner.errors import Misfit, StorageError, Unreadable
from runner.storage import seals
from runner.storage.checkpoints import Checkpoints


class State(NamedTuple):
    params: dict
    key: jax.Array
    step: jax.Array


def state(step: int = 0, dtype=jnp.float32, size: int = 3) -> State:
    return State(
        {"layer": {"w": jnp.arange(size, dtype=dtype) + step}}, jax.random.key(step), jnp.int32(step)
    )


def layers(**params) -> State:
    return state()._replace(params=params)


def saved(path, values) -> Checkpoints:
    checkpoints = Checkpoints(path, "min")
    for step, value in values.items():
        checkpoints.save(step, state(step), {"rows": [0.1 * step]}, value)
    checkpoints.close()
    return Checkpoints(path, "min")


def test_a_state_comes_back_to_the_bit_with_its_types_and_keys(tmp_path):
    step, restored, extra = saved(tmp_path / "c", {3: None}).restore(jax.eval_shape(lambda: state()))
    assert step == 3
    assert extra == {"rows": [0.1 * 3]}
    assert isinstance(restored, State)
    np.testing.assert_array_equal(restored.params["layer"]["w"], state(3).params["layer"]["w"])
    assert jnp.array_equal(jax.random.key_data(restored.key), jax.random.key_data(state(3).key))
    assert int(restored.step) == 3


def test_nothing_saved_is_nothing_restored_and_no_directory_is_created(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.restore(state()) is None
    assert checkpoints.steps == []
    assert checkpoints.best is None
    assert not (tmp_path / "c").exists()


def test_the_latest_two_and_the_best_are_kept(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.3, 2: 0.1, 3: 0.5, 4: 0.2, 5: 0.4})
    assert checkpoints.steps == [2, 4, 5]
    assert checkpoints.best == 2


def test_of_equal_values_the_first_is_the_best_and_is_kept(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.3, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.4})
    assert checkpoints.best == 2
    assert checkpoints.steps == [2, 4, 5]


def test_a_value_that_is_not_finite_is_never_the_best(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.1, 2: math.nan, 3: -math.inf, 4: 0.2})
    assert checkpoints.best == 1
    assert checkpoints.steps == [1, 3, 4]


def test_without_values_the_best_is_the_latest(tmp_path):
    assert saved(tmp_path / "c", {1: None, 2: None, 3: None}).best == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (state(dtype=jnp.bfloat16), r"params.layer.w is float32\[3\] in it, and bfloat16\[3\]"),
        (state(dtype=jnp.int32), r"params.layer.w is float32\[3\] in it, and int32\[3\]"),
        (state(size=4), r"params.layer.w is float32\[3\] in it, and float32\[4\]"),
        (
            layers(layer={"w": jnp.zeros((3, 1))}),
            r"params.layer.w is float32\[3\] in it, and float32\[3, 1\]",
        ),
        (layers(layer={"w": jnp.zeros(())}), r"params.layer.w is float32\[3\] in it, and float32\[\]"),
        (layers(layer={}), r"params.layer.w is float32\[3\] in it, and unknown"),
        (layers(layer={"w": jnp.zeros(3), "b": jnp.zeros(3)}), "params.layer.b is missing"),
        (layers(layer={"v": jnp.zeros(3)}), "params.layer.v is missing"),
        (layers(other={"w": jnp.zeros(3)}), "params.other.w is missing"),
        (layers(layer={"w": (jnp.zeros(3),)}), "params.layer.w.0 is missing"),
        (state()._replace(step=jnp.uint32(0)), r"step is int32\[\] in it, and uint32\[\]"),
        (state()._replace(key=jnp.zeros(2, jnp.uint32)), r"key is key<fry>\[\] in it, and uint32\[2\]"),
        (state()._replace(key=jax.random.key(0, impl="rbg")), r"key is key<fry>\[\] in it, and key<rbg>"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_leaf_and_never_cast(tmp_path, other, message):
    with pytest.raises(Misfit, match=message):
        saved(tmp_path / "c", {1: None}).restore(other)


def test_a_step_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(Misfit, match="no checkpoint of step 7; there are 1, 2"):
        saved(tmp_path / "c", {1: None, 2: None}).restore(state(), 7)


def test_a_step_that_is_there_already_is_not_silently_left_out(tmp_path):
    checkpoints = saved(tmp_path / "c", {5: None})
    with pytest.raises((OSError, ValueError), match="5"):
        checkpoints.save(5, state(5), {})
    checkpoints.close()


def test_a_saved_state_may_be_donated_at_once(tmp_path):
    checkpoints, current = Checkpoints(tmp_path / "c"), state(1)
    checkpoints.save(1, current, {})
    jax.jit(lambda w: w * 0, donate_argnums=0)(current.params["layer"]["w"])
    checkpoints.close()
    _, restored, _ = Checkpoints(tmp_path / "c").restore(jax.eval_shape(lambda: state()))
    np.testing.assert_array_equal(restored.params["layer"]["w"], np.arange(3) + 1)


def damage(folder, step):
    manifest = folder / str(step) / "state" / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:-1])


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


TEMPLATE = jax.eval_shape(lambda: state())


def test_whatever_is_done_to_a_file_of_the_newest_step_the_one_before_it_is_used_and_both_are_said():
    for tally in faults.damage.damage(trials=1, seed=1):
        assert tally.trials == tally.survived > 0, tally.failures


def test_without_the_check_of_the_seal_damage_is_used_in_silence(tmp_path, monkeypatch):
    subject.save(tmp_path / "c", 2, 4)
    rows = tmp_path / "c" / "4" / "extra" / "metadata"
    rows.write_bytes(rows.read_bytes().replace(b"0.4", b"0.5"))
    assert subject.load(tmp_path / "c")[0] == 2
    monkeypatch.setattr(seals, "verify", seals.note)
    with pytest.raises(subject.Silent):
        subject.load(tmp_path / "c")


def test_where_no_step_is_whole_all_are_refused_by_name_and_nothing_is_deleted():
    for tally in faults.damage.all_damaged(trials=3):
        assert tally.trials == tally.survived == 3, tally.failures


def test_a_step_asked_for_that_is_not_whole_is_refused_and_no_other_is_given(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: None, 2: None})
    damage(tmp_path / "c", 2)
    with pytest.raises(Unreadable, match=r"c/2: file state/manifest.ocdbt is damaged"):
        checkpoints.restore(TEMPLATE, 2)


def test_a_folder_that_was_given_the_name_of_another_step_is_not_taken_for_it(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: None, 2: None})
    (tmp_path / "c" / "2").rename(tmp_path / "c" / "9")
    assert checkpoints.newest() == 1
    with pytest.raises(Unreadable, match="c/9: it was sealed as step 2"):
        Checkpoints(tmp_path / "c").restore(TEMPLATE, 9)


def test_stray_folders_are_no_steps_and_are_reported(tmp_path, caplog):
    checkpoints = saved(tmp_path / "c", {1: None})
    for name in ("999", "07", "notes"):
        (tmp_path / "c" / name).mkdir()
    assert checkpoints.steps == [1]
    assert checkpoints.restore(TEMPLATE)[0] == 1
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/c/999: it has no seal; going back to step 1"
    ]


def test_a_damaged_step_does_not_count_among_the_latest_and_is_replaced_when_it_is_saved_again(tmp_path):
    checkpoints = saved(tmp_path / "c", {2: None, 4: None, 6: None})
    damage(tmp_path / "c", 6)
    assert checkpoints.restore(TEMPLATE)[0] == 4
    assert checkpoints.steps == [4]
    checkpoints.save(5, state(5), {})
    checkpoints.save(6, state(60), {})
    checkpoints.close()
    assert Checkpoints(tmp_path / "c").steps == [5, 6]
    np.testing.assert_array_equal(Checkpoints(tmp_path / "c").restore(TEMPLATE)[1].step, 60)


def test_reading_writes_nothing_and_deletes_nothing(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.1, 2: 0.2})
    (tmp_path / "c" / ".draft-3").mkdir()
    (tmp_path / "c" / ".trash-1").mkdir()
    before = listing(tmp_path)
    checkpoints.restore(TEMPLATE, checkpoints.best)
    checkpoints.restore(TEMPLATE)
    checkpoints.close()
    assert listing(tmp_path) == before


def test_what_a_killed_writer_left_is_removed_at_the_first_save(tmp_path):
    for name in (".draft-3", ".draft-4.orbax-checkpoint-tmp", ".trash-1"):
        (tmp_path / "c" / name / "state").mkdir(parents=True)
    saved(tmp_path / "c", {5: None})
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["5"]


def test_a_step_is_reported_when_it_can_be_restored_and_not_before(tmp_path):
    steps = []
    see = lambda step: steps.append((step, Checkpoints(tmp_path / "c").newest()))
    with Checkpoints(tmp_path / "c", on_saved=see) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state(step), {})
    assert steps == [(1, 1), (2, 2), (3, 3)]


def failing(monkeypatch, times):
    own, left = seals.seal, [OSError(errno.EIO, "Input/output error")] * times

    def seal(folder, note):
        if left:
            raise left.pop()
        return own(folder, note)

    monkeypatch.setattr(seals, "seal", seal)


def test_a_save_that_fails_once_is_tried_once_more_with_the_state_of_its_own_step(
    tmp_path, monkeypatch, caplog
):
    failing(monkeypatch, 1)
    current = state(1)
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, current, {})
        jax.jit(lambda w: w * 0, donate_argnums=0)(current.params["layer"]["w"])
    assert "step 1 was not saved (OSError: [Errno 5] Input/output error); trying once more" in caplog.text
    _, restored, _ = Checkpoints(tmp_path / "c").restore(TEMPLATE)
    np.testing.assert_array_equal(restored.params["layer"]["w"], np.arange(3) + 1)


def test_a_save_that_fails_twice_is_reported_with_its_own_step_and_harms_no_other(tmp_path, monkeypatch):
    checkpoints, steps = saved(tmp_path / "c", {1: None, 2: None}), []
    checkpoints._on_saved = steps.append
    failing(monkeypatch, 2)
    checkpoints.save(3, state(3), {})
    with pytest.raises(StorageError, match=r"c/3: was not saved: OSError: .*error; steps that are: 1, 2"):
        checkpoints.save(4, state(4), {})
    assert checkpoints.steps == [1, 2]
    checkpoints.save(4, state(4), {})
    checkpoints.close()
    assert steps == [4]
    assert checkpoints.steps == [2, 4]


def test_a_disk_without_room_for_three_more_steps_is_refused_before_anything_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=30))
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(1, state(1), {})
    with pytest.raises(StorageError, match=r"c/1: .*3e-05 MB are free, and 7.2e-05 MB are needed"):
        checkpoints.close()
    assert not list((tmp_path / "c").iterdir())


def test_a_step_that_cannot_be_deleted_is_reported_and_the_save_holds(tmp_path, monkeypatch, caplog):
    def rmtree(path, ignore_errors=False):
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    assert saved(tmp_path / "c", {1: None, 2: None, 3: None}).steps == [2, 3]
    assert "step 1 was not deleted" in caplog.text


def test_the_best_is_not_guessed_where_a_seal_is_damaged(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.1, 2: 0.2})
    (tmp_path / "c" / "1" / seals.NAME).write_text("{}")
    with pytest.raises(Unreadable, match=r"c/1: its seal is damaged; name another step"):
        _ = checkpoints.best


def test_threads_of_one_process_save_without_hanging_or_mixing_up_states():
    (tally,) = faults.threads.threads(sweeps=2)
    assert tally.trials == tally.survived == 8, tally.failures


def test_killed_at_any_call_that_changes_a_file_every_step_is_whole_and_saving_goes_on():
    (tally,) = faults.calls.killed(every=40, seed=7)
    assert tally.trials == tally.survived > 3, tally.failures


@pytest.mark.slow
def test_with_steps_in_sight_before_they_are_sealed_kills_would_leave_broken_ones():
    (tally,) = faults.calls.killed(every=4, seed=0, disabled="seal", last=160)
    assert tally.lost > 0
