import dataclasses
import json
import subprocess
import sys
from concurrent.futures import wait
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import Loop
from runner.core import Dataset, Mean, Spec, maximized
from runner.datasets import Arrays, FirstBatch, Stream
from runner.errors import NotFinite, Stopped, StorageError
from runner.loop.compiled import Keys, Program
from runner.loop.log_averages import Record
from runner.optimizers import adam, sgd
from runner.scenarios import GAN, Regression
from runner.schedules import Cosine
from runner.storage import seals
from runner.storage.checkpoints import Checkpoints
from runner.writers import JsonLines


class CountState(NamedTuple):
    count: jax.Array
    seen: jax.Array


@dataclasses.dataclass(frozen=True)
class Count:
    """A scenario that counts its steps and adds up what it sees."""

    explodes_at: int = 10**9
    leaf_explodes_at: int = 10**9

    def init(self, key, spec):
        return CountState(jnp.zeros((), jnp.int32), jnp.zeros(()))

    def step(self, key, state, batch):
        count = state.count + 1
        loss = jnp.where(count == self.explodes_at, jnp.nan, 1.0 * count)
        seen = state.seen + batch["x"].sum() + jnp.where(count >= self.leaf_explodes_at, jnp.inf, 0.0)
        return CountState(count, seen), {"loss": loss, "rare": Mean(1.0 * count, 1.0 * (count % 2))}

    def evaluate(self, key, state, batch):
        return {"distance": jnp.abs(state.count - 6) + jnp.zeros(len(batch["x"]))}


@dataclasses.dataclass(frozen=True)
class Thrice(Count):
    """One that takes three batches a step."""

    batches_per_step = 3

    def step(self, key, state, batch):
        assert batch["x"].shape[:2] == (3, 4)
        return super().step(key, state, batch)


class Notes:
    """A writer that remembers."""

    def __init__(self):
        self.rows, self.progress = {}, []

    def write(self, step, metrics, figures):
        self.progress.append(step)
        if metrics:
            assert step not in self.rows
            self.rows[step] = dict(metrics)


class Judge:
    """An evaluator of one number, the count of steps from the sixth."""

    def names(self, scenario, state, source):
        return ("distance",)

    def __call__(self, key, scenario, state, source):
        return {"distance": abs(float(state.count) - 6)}, {}


SOURCE = Arrays({"x": np.arange(10, dtype=np.float32)[:, None]}, 4)
DATA = Dataset(SOURCE, SOURCE, SOURCE)
KEY = jax.random.key(0)


def run(steps, scenario=Count(), data=DATA, **settings):
    others = {name: settings.pop(name) for name in ("evaluator", "checkpoints", "stop") if name in settings}
    notes = Notes()
    state = Loop(steps=steps, **settings).run(scenario, data, key=KEY, writers=[notes], **others)
    return state, notes


def test_it_makes_the_steps_it_is_asked_for_in_any_intervals():
    states = [run(23, log_every=log, save_every=save)[0] for log, save in ((5, None), (7, 3), (1, 10))]
    assert [int(state.count) for state in states] == [23] * 3
    assert len({float(state.seen) for state in states}) == 1


def test_a_record_is_the_mean_over_its_interval_whatever_the_chunks():
    _, notes = run(12, log_every=5, save_every=3)
    losses = {step: row["loss"] for step, row in notes.rows.items() if "loss" in row}
    assert losses == {5: 3.0, 10: 8.0, 12: 11.5}  # the last one is over an interval that the end cuts


def test_rows_without_a_count_are_left_out_of_a_mean():
    _, notes = run(4, log_every=4)
    assert notes.rows[4]["rare"] == (1 + 3 + 2 + 4) / 2  # the totals of all rows over the counts of two


def test_progress_is_shown_at_the_end_of_every_chunk_and_never_falls():
    _, notes = run(50, log_every=20)
    assert notes.progress[-1] == 50
    assert notes.progress == sorted(notes.progress)
    assert len(notes.progress) > 4


def test_several_batches_a_step_are_the_same_rows_as_one_after_the_other():
    three, _ = run(5, Thrice())
    one, _ = run(15)
    np.testing.assert_allclose(three.seen, one.seen)


def test_every_epoch_visits_each_row_once():
    state, _ = run(5)  # 20 rows of 10: two epochs
    assert float(state.seen) == 2 * 45


def test_best_and_patience_follow_the_validation_metric_and_end_the_run():
    settings = {"evaluate_every": 2, "best": "distance", "mode": "min", "patience": 2}
    state, notes = run(100, evaluator=Judge(), **settings)
    distances = {step: row["validation/distance"] for step, row in notes.rows.items()}
    assert distances == {2: 4, 4: 2, 6: 0, 8: 2, 10: 4}
    assert int(state.count) == 10


def test_the_best_state_is_saved_and_kept_with_the_last_two(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    followed = {"best": "distance", "mode": "min"}
    run(14, evaluator=Judge(), checkpoints=checkpoints, evaluate_every=2, save_every=4, **followed)
    checkpoints.close()
    assert checkpoints.best == 6
    assert checkpoints.steps == [6, 12, 14]


class Near(Judge):
    """An evaluator that declares the direction of its metric, of which the first value is the best."""

    declared_metrics = maximized(distance="how far the count is from 6")


def test_the_loop_and_its_checkpoints_follow_the_direction_that_the_evaluator_declares(tmp_path):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        settings = {"evaluate_every": 2, "best": "distance", "patience": 3}
        state, _ = run(100, evaluator=Near(), checkpoints=checkpoints, **settings)
    assert int(state.count) == 8  # 4, 2, 0 and 2: three without a higher one
    assert checkpoints.best == Checkpoints(tmp_path / "checkpoints").best == 2


@pytest.mark.parametrize(
    ("evaluator", "mode", "message"),
    [
        (Judge(), None, r"^loop.mode: nothing declares .* lower distance is better; say loop.mode=max or"),
        (
            Near(),
            "min",
            "^loop.mode: min contradicts the declaration of distance, whose best value is the max",
        ),
    ],
)
def test_a_direction_that_is_unknown_or_contradicted_is_refused_before_any_step(evaluator, mode, message):
    with pytest.raises(ValueError, match=message):
        run(5, evaluator=evaluator, best="distance", mode=mode)


def test_a_declaration_without_a_direction_is_refused():
    vague = type("Vague", (Judge,), {"declared_metrics": {"distance": "min"}})
    with pytest.raises(ValueError, match=r"declared_metrics: distance is 'min', and not such as Metric"):
        run(5, evaluator=vague(), best="distance")


def test_an_unknown_best_metric_is_refused_before_any_step():
    with pytest.raises(ValueError, match="no metric 'distant'; it returns distance"):
        run(5, evaluator=Judge(), best="distant")


def distance(key, scenario, state, source):
    return {"distance": jnp.abs(state.count - 6)}, {}


def test_a_plain_function_is_an_evaluator():
    _, notes = run(9, evaluator=distance, evaluate_every=3, best="distance", mode="min", patience=1)
    assert [notes.rows[step]["validation/distance"] for step in (3, 6, 9)] == [3.0, 0.0, 3.0]
    assert isinstance(notes.rows[3]["validation/distance"], float)


@pytest.mark.parametrize(
    ("evaluator", "data", "message"),
    [
        (distance, DATA, "best: the evaluation has no metric 'accuracy'; it returns distance"),
        (
            lambda *_: ({"accuracy": np.zeros(3)}, {}),
            DATA,
            r"accuracy: the evaluator returns an array \(3,\)",
        ),
        (distance, SOURCE, "evaluator: there is no validation split"),
    ],
)
def test_what_a_function_cannot_evaluate_is_refused(evaluator, data, message):
    with pytest.raises(ValueError, match=message):
        run(9, data=data, evaluator=evaluator, evaluate_every=3, best="accuracy", mode="max")


def test_a_loss_that_is_not_finite_is_named_with_its_step():
    with pytest.raises(NotFinite, match="loss is nan at step 7"):
        run(20, Count(explodes_at=7))


def test_a_state_that_is_not_finite_behind_a_finite_loss_is_not_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(NotFinite, match=r"seen of the state is not finite after step (7|8|9|10)$"):
        run(20, Count(leaf_explodes_at=7), checkpoints=checkpoints, save_every=5)
    checkpoints.close()
    assert checkpoints.steps == [5]


def test_no_state_is_given_that_is_not_finite_even_if_none_is_kept():
    with pytest.raises(NotFinite, match="seen of the state is not finite after step 10"):
        run(10, Count(leaf_explodes_at=10))


def test_check_state_finds_the_very_step():
    with pytest.raises(NotFinite, match="seen of the state is not finite after step 7"):
        run(20, Count(leaf_explodes_at=7), check_state=True)


@pytest.mark.parametrize("fuse", ["always", "never"])
def test_a_run_that_is_stopped_saves_the_state_of_that_step_and_resumes_as_if_it_had_not(tmp_path, fuse):
    checkpoints, asked = Checkpoints(tmp_path / "checkpoints"), iter([False, False, False] + [True] * 9)
    with pytest.raises(Stopped, match="stopped at step 4"):
        run(200, checkpoints=checkpoints, fuse=fuse, stop=lambda: next(asked))
    checkpoints.close()
    assert checkpoints.steps == [4]
    (resumed, _), (whole, _) = run(200, checkpoints=Checkpoints(tmp_path / "checkpoints")), run(200)
    assert (int(resumed.count), float(resumed.seen)) == (int(whole.count), float(whole.seen))


def test_a_save_that_failed_ends_the_run_within_a_chunk(tmp_path, monkeypatch):
    def fail(folder, note):
        raise OSError("no room")

    class Waits(Notes):
        def write(self, step, metrics, figures):
            super().write(step, metrics, figures)
            wait([checkpoints._pending] if checkpoints._pending else [])

    monkeypatch.setattr(seals, "seal", fail)
    checkpoints, notes = Checkpoints(tmp_path / "checkpoints"), Waits()
    loop = Loop(steps=100, evaluate_every=4, save_every=20)
    with pytest.raises(StorageError, match="20: was not saved: OSError: no room"):
        loop.run(Count(), DATA, key=KEY, checkpoints=checkpoints, writers=[notes])
    checkpoints.close()
    assert notes.progress[-1] == 24


def test_a_run_that_is_stopped_before_its_first_step_saves_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(Stopped, match="stopped at step 0"):
        run(200, checkpoints=checkpoints, stop=lambda: True)
    checkpoints.close()
    assert checkpoints.steps == []


class Large(Count):
    """One with a large leaf."""

    def init(self, key, spec):
        return CountState(jnp.zeros((), jnp.int32), jnp.zeros(10_000))


def test_the_state_is_never_held_twice():
    program = Program(Large(), DATA.train, Keys.of(KEY))
    state = program.init()
    place = state.seen.unsafe_buffer_pointer()
    for after, *_ in program.advance(state, 0, 20, program.compile(state, 0, "always")):
        assert after.seen.unsafe_buffer_pointer() == place
    assert state.seen.is_deleted()


def test_the_learning_rate_in_force_is_recorded_in_steps_of_the_run():
    net = hk.transform(lambda x: hk.Linear(1)(x)[:, 0])
    players = {
        "generator": hk.transform(lambda z: hk.Linear(1)(z)),
        "discriminator": net,
        "generator_optimizer": adam(0.5, schedule=Cosine(), horizon=8),
        "discriminator_optimizer": dataclasses.replace(
            adam(0.5, schedule=Cosine(), horizon=8), updates_per_step=2
        ),
    }
    loss = type("Game", (), {})()
    loss.generator, loss.discriminator = lambda fake: -fake, lambda real, fake: fake - real
    _, notes = run(8, GAN(**players, loss=loss, latent_size=2, critic_steps=2), log_every=4)
    cosine = lambda fraction: 0.25 * (1 + np.cos(np.pi * fraction))
    for name, halfway in (("generator", 3 / 8), ("discriminator", 7 / 16)):
        rates = [row[f"learning_rate/{name}_optimizer"] for row in notes.rows.values()]
        np.testing.assert_allclose(rates[0], cosine(halfway), rtol=1e-5)


def test_all_kinds_of_streams_train():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 8, 3)).astype(np.float32)
    batches = [{"x": rows, "y": rows.sum(1, keepdims=True)} for rows in x]
    net = hk.transform(lambda x: hk.Linear(1)(x))
    scenario = Regression(net, sgd(0.1), optax.l2_loss, standardize=False)
    kinds = (batches, lambda start: iter(batches[start:]), iter(batches))
    states = [Loop(steps=40).run(scenario, Stream(kind), key=KEY) for kind in kinds]
    for state in states:
        np.testing.assert_allclose(state.net.params["linear"]["w"], np.ones((3, 1)), atol=0.05)
        assert jnp.array_equal(state.net.params["linear"]["w"], states[0].net.params["linear"]["w"])


def test_overfitting_sees_the_first_batch_again_and_again():
    first = SOURCE.feed(Keys.of(KEY).data, 0, 1)[0]
    state, _ = run(6, data=FirstBatch(SOURCE))
    assert float(state.seen) == 6 * float(first.sum())


def test_rows_of_the_open_interval_survive_json_to_the_bit():
    record = Record(5)
    list(record.add(0, {"loss": np.float32([0.1, 0.2, 0.3])}))
    again = Record(5, json.loads(json.dumps(record.rows)))
    table = {"loss": np.float32([0.4, 0.7])}
    assert list(again.add(3, table)) == list(record.add(3, table))


def test_the_record_of_a_run_cut_in_two_is_byte_equal(tmp_path):
    def part(steps, folder):
        checkpoints = Checkpoints(tmp_path / folder / "checkpoints")
        writer = JsonLines(tmp_path / folder, max(checkpoints.steps, default=0))
        loop = Loop(steps=steps, log_every=5, save_every=3)
        loop.run(Count(), DATA, key=KEY, checkpoints=checkpoints, writers=[writer])
        checkpoints.close()
        writer.close()

    for steps, folder in ((20, "whole"), (9, "cut"), (20, "cut")):
        part(steps, folder)
    whole, cut = ((tmp_path / folder / "metrics.jsonl").read_text() for folder in ("whole", "cut"))
    assert whole.splitlines() == [
        line for line in cut.splitlines() if '"step": 9' not in line
    ]  # its first end


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps: 0 is less than 1"),
        ({"log_every": 0}, "log_every: 0 is less than 1"),
        ({"patience": 3}, "patience: needs a metric"),
        ({"save_every": 0}, "save_every: 0 is less than 1"),
        ({"devices": 0}, "devices: 0 is neither a number from 1 up nor all"),
        ({"fuse": "yes"}, "fuse: 'yes' is none of auto, always, never"),
        ({"mode": "less"}, "mode: 'less' is none of min, max"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Loop(**{"steps": 1, **settings})


def test_a_step_that_changes_the_state_is_refused_by_leaf():
    class Wrong(Count):
        def step(self, key, state, batch):
            return state._replace(count=state.count * 1.0), {"loss": state.seen}

    with pytest.raises(ValueError, match="step changes count of the state from int32"):
        run(3, Wrong())


def test_a_batch_shared_by_four_devices_gives_the_same_net_to_rounding():
    code = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax, numpy as np, optax, haiku as hk
from runner import Loop
from runner.datasets import Arrays
from runner.scenarios import Regression
x = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
source = Arrays({"x": x, "y": x[:, :1] ** 2}, 16)
net = hk.transform(lambda x: hk.nets.MLP([8, 1])(x))
scenario = Regression(net, optax.sgd(0.05), optax.l2_loss)
one, four = (Loop(steps=20, devices=n).run(scenario, source, key=jax.random.key(0)) for n in (1, "all"))
assert len(jax.tree.leaves(four.net.params)[0].devices()) == 4
for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four)):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_scenario_without_data_gets_empty_batches():
    class Nothing:
        spec, batch_size, size = Spec({}), 1, None

        def feed(self, key, start, length):
            return None

        def batch(self, key, item):
            return {}

    jax.tree_util.register_pytree_node(Nothing, lambda source: ((), None), lambda static, leaves: Nothing())

    @dataclasses.dataclass(frozen=True)
    class Alone:
        def init(self, key, spec):
            return jnp.zeros(())

        def step(self, key, state, batch):
            assert batch == {}
            return state + jax.random.normal(key), {"loss": state}

    assert float(Loop(steps=5).run(Alone(), Nothing(), key=KEY)) != 0
