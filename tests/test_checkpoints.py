import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.checkpoints import Checkpoints, Misfit


class State(NamedTuple):
    params: dict
    key: jax.Array
    step: jax.Array


def state(step: int = 0, dtype=jnp.float32, size: int = 3) -> State:
    return State(
        {"layer": {"w": jnp.arange(size, dtype=dtype) + step}}, jax.random.key(step), jnp.int32(step)
    )


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


def test_nothing_saved_is_nothing_restored_and_no_directory_is_made(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.restore(state()) is None
    assert checkpoints.steps == []
    assert checkpoints.best is None
    assert not (tmp_path / "c").exists()


def test_the_latest_two_and_the_best_are_kept(tmp_path):
    checkpoints = saved(tmp_path / "c", {1: 0.3, 2: 0.1, 3: 0.5, 4: 0.2, 5: 0.4})
    assert checkpoints.steps == [2, 4, 5]
    assert checkpoints.best == 2


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
        (state(size=4), r"params.layer.w is float32\[3\] in it, and float32\[4\]"),
        (state()._replace(params={"layer": {}}), "params.layer.w"),
        (
            state()._replace(params={"layer": {"w": jnp.zeros(3), "b": jnp.zeros(3)}}),
            "params.layer.b is missing",
        ),
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
