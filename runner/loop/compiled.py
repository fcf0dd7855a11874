"""The compiled call: many steps of a scenario at once."""

import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runner.core import Key, Metrics, Source, Spec, named_leaves
from runner.errors import is_deliberate, is_in_users_code
from runner.loop.finite import are_finite, refuse_not_finite
from runner.loop.partition import join, split

CAPACITY = 128  # steps in the longest stretch; the length itself is dynamic, so there is one compile
FEED = 2**25  # bytes that the host sends for a stretch of full capacity, unless a single step needs more
# A stretch that took less seconds is followed by one twice as long, so that none takes much over a second.
SECONDS = 0.5


class Keys(NamedTuple):
    """What each part of a run draws from; at step `t` it takes `fold_in(key, t)`."""

    init: Key
    step: Key
    data: Key
    evaluate: Key

    @classmethod
    def of(cls, root: Key) -> "Keys":
        """Derives the four from the run's root key."""
        return cls(*(jax.random.fold_in(root, number) for number in range(4)))

    def evaluate_at(self, step: int) -> Key:
        """Gives the key of the evaluation after `step` steps."""
        return jax.random.fold_in(self.evaluate, step)


class Program:
    """The steps of a scenario on a source, ready to be called.

    Args:
        scenario: satisfies `runner.core.Scenario`.
        source: gives the training batches.
        keys: of the run.
        devices: how many share each batch, or "all".

    Raises:
        ValueError: a part does not fit another, found by shapes alone; or there are not so many devices.
    """

    def __init__(self, scenario: Any, source: Source, keys: Keys, devices: int | str = 1):
        self.rest, self.numbers = split(scenario)
        self.batches = getattr(scenario, "batches_per_step", None)
        self.mesh = _mesh(devices, source.batch_size)
        self.keys, self.spec = keys, source.spec
        self.feed, self.source = source.feed, self.place(source)
        self._length, self._read, self._taken = 1, 0.0, (-1, 0, None)
        self._capacity = CAPACITY

    def place(self, tree: Any) -> Any:
        """Puts arrays where the steps want them: on each of the devices that share the batches."""
        return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def template(self) -> Any:
        """Gives shapes and dtypes of the state, and refuses parts that do not fit each other, before any compile."""
        try:
            return self._template()
        except (TypeError, ValueError, AssertionError) as error:
            if is_in_users_code(error) and not is_deliberate(error):
                raise
            shapes = ", ".join(
                f"{name} {dtype}{list(shape)}" for name, (shape, dtype) in self.spec.features.items()
            )
            raise ValueError(f"the parts do not fit the data ({shapes}): {error}") from error

    def _template(self) -> Any:
        state = jax.eval_shape(_initialize, self.rest, self.numbers, self.keys.init, self.spec)
        if self.mesh is not None:
            everywhere = NamedSharding(self.mesh, PartitionSpec())
            state = jax.tree.map(lambda leaf: leaf.update(sharding=everywhere), state)
        lead = (self.source.batch_size,) if self.batches is None else (self.batches, self.source.batch_size)
        shapes = {name: (lead + shape, dtype) for name, (shape, dtype) in self.spec.features.items()}
        batch = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in shapes.items()}
        after, _ = jax.eval_shape(_step, self.rest, self.numbers, self.keys.step, state, batch)
        _refuse_changed(state, after)
        return state

    def _take(self, step: int, length: int) -> Any:
        if self._taken[:2] != (step, length):  # a stream gives its batches only once
            self._taken = step, length, self._fetch(step, length)
        return self._taken[2]

    def _fetch(self, step: int, length: int) -> Any:
        if self.batches is None:
            return self.feed(self.keys.data, step, length)
        feed = self.feed(self.keys.data, step * self.batches, length * self.batches)
        return jax.tree.map(lambda rows: rows.reshape(length, self.batches, *rows.shape[1:]), feed)

    def init(self) -> Any:
        """Makes the first state."""
        return self.place(_initialize(self.rest, self.numbers, self.keys.init, self.spec))

    def compile(self, state: Any, step: int, fuse: str) -> bool:
        """Compiles the steps from shapes, so that initial values may be computed meanwhile.

        Args:
            state: of step `step`; shapes and dtypes are enough.
            step: from which it goes on.
            fuse: as in `Loop`.

        Returns:
            Whether the steps are fused.
        """
        size = sum(rows.nbytes for rows in jax.tree.leaves(self._take(step, 1)))
        self._capacity = max(1, min(CAPACITY, FEED // max(size, 1)))
        stretch = _stretch.trace(*self._arguments(state, step, 1))
        slow = jax.default_backend() == "cpu" and _holds(stretch.jaxpr.jaxpr, "conv_general_dilated")
        if fuse == "always" or (fuse == "auto" and not slow):
            stretch.lower().compile()
            return True
        item = self._item(self._take(step, 1), 0)
        _single.trace(*self._shared(state), np.int32(step), self.source, item).lower().compile()
        return False

    def _shared(self, state: Any) -> tuple:
        return self.rest, self.mesh, self.numbers, state, self.keys

    def _arguments(self, state: Any, step: int, length: int) -> tuple:
        pad = lambda rows: np.concatenate(
            [rows, np.zeros((self._capacity - length, *rows.shape[1:]), rows.dtype)]
        )
        feed = self.place(jax.tree.map(pad, self._take(step, length)))
        return (self._capacity, *self._shared(state), np.int32(step), np.int32(length), self.source, feed)

    def advance(
        self, state: Any, step: int, end: int, fused: bool, check: Any = None, stop: Any = None
    ) -> Iterator[tuple]:
        """Runs from `step` to `end` in stretches, each read once the next one is dispatched.

        Args:
            state: of step `step`; donated.
            step: steps made.
            end: steps to be made.
            fused: as `compile` told.
            check: called with (steps made, state) after each step that is not fused.
            stop: tells whether to end after the stretch that runs.

        Yields:
            The newest state, steps made before the stretch that was read, its length, its metrics `[length, ...]`.

        Raises:
            NotFinite: the last state, or one of those that are looked at now and then.
        """
        pending, looked = None, time.perf_counter()
        while True:
            before, pending = pending, None
            if step < end and not (stop is not None and stop()):
                length, dispatched = min(self._length, end - step), time.perf_counter()
                if fused:
                    state, table = _stretch(*self._arguments(state, step, length))
                else:
                    state, table = self._unfused(state, step, length, check)
                finite = None
                if dispatched - looked > SECONDS:  # to look takes as long as some steps of a small net
                    finite, looked = are_finite(state), dispatched
                pending = step, length, (table, finite), dispatched
                step += length
            elif before is None:
                return
            if before is not None:
                made, length, outcome, dispatched = before
                table, finite = jax.device_get(outcome)
                rows = jax.tree.map(lambda column, length=length: column[:length], table)
                self._pace(time.perf_counter() - max(dispatched, self._read))
                yield state, made, length, rows
                if finite is not None or pending is None:
                    refuse_not_finite(made + length, state, finite)

    def _pace(self, seconds: float) -> None:
        self._read = time.perf_counter()
        if seconds < SECONDS:
            self._length = min(2 * self._length, self._capacity)
        elif seconds > 2 * SECONDS:
            self._length = max(self._length // 2, 1)

    def _unfused(self, state: Any, step: int, length: int, check: Any) -> tuple[Any, Metrics]:
        feed, rows = self._take(step, length), []
        for place in range(length):
            arguments = np.int32(step + place), self.source, self._item(feed, place)
            state, metrics = _single(*self._shared(state), *arguments)
            if check is not None:
                check(step + place + 1, state)
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(jax.device_get(values)), *rows)

    def single(self, state: Any, step: int) -> tuple[Any, Metrics]:
        """Makes one step; the state given stays as it is."""
        return _one(*self._shared(state), np.int32(step), self.source, self._item(self._take(step, 1), 0))

    def _item(self, feed: Any, place: int) -> Any:
        return self.place(jax.tree.map(lambda rows: rows[place], feed))


# Random initial values are most of what a short run compiles, and run once: they are not worth optimising.
@functools.partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 1})
def _initialize(rest, numbers, key: Key, spec: Spec):
    return join(rest, numbers).init(key, spec)


@functools.partial(jax.jit, static_argnums=0)
def _step(rest, numbers, key: Key, state, batch):
    return join(rest, numbers).step(key, state, batch)


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)  # traced once, wherever it is called
def _one(rest, mesh: Mesh | None, numbers, state, keys: Keys, step, source, item):
    scenario = join(rest, numbers)
    batches = getattr(scenario, "batches_per_step", None)
    if batches is None:
        batch = source.batch(jax.random.fold_in(keys.data, step), item)
    else:
        of_batch = jax.vmap(lambda number: jax.random.fold_in(keys.data, number))
        batch = jax.vmap(source.batch)(of_batch(step * batches + jnp.arange(batches)), item)
    if mesh is not None:
        spread = NamedSharding(
            mesh, PartitionSpec("data") if batches is None else PartitionSpec(None, "data")
        )
        batch = jax.lax.with_sharding_constraint(batch, spread)
    return scenario.step(jax.random.fold_in(keys.step, step), state, batch)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnames="state")
def _single(rest, mesh, numbers, state, keys, step, source, item):
    return _one(rest, mesh, numbers, state, keys, step, source, item)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnames="state")
def _stretch(capacity, rest, mesh, numbers, state, keys, start, length, source, feed):
    def body(place, carry):
        state, table = carry
        item = jax.tree.map(lambda rows: rows[place], feed)
        state, metrics = _one(rest, mesh, numbers, state, keys, start + place, source, item)
        return state, jax.tree.map(lambda rows, value: rows.at[place].set(value), table, metrics)

    first = jax.tree.map(lambda rows: rows[0], feed)
    _, shapes = jax.eval_shape(_one, rest, mesh, numbers, state, keys, start, source, first)
    table = jax.tree.map(lambda value: jnp.zeros((capacity, *value.shape), value.dtype), shapes)
    return jax.lax.fori_loop(0, length, body, (state, table))


def _mesh(devices: int | str, batch_size: int) -> Mesh | None:
    found = jax.device_count()
    count = found if devices == "all" else int(devices)
    if count == 1:
        return None
    if count > found:
        raise ValueError(f"loop.devices: {count} are asked for, of {found}; say all, or fewer")
    if batch_size % count:
        raise ValueError(f"loop.devices: a batch of {batch_size} cannot be shared by {count} devices evenly")
    return jax.make_mesh(
        (count,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:count]
    )


def _refuse_changed(before: Any, after: Any) -> None:
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise ValueError(f"step gives a state of another structure than init: {jax.tree.structure(after)}")
    for (name, old), new in zip(named_leaves(before).items(), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"step changes {name} of the state from {old.dtype}{old.shape} to {new.dtype}{new.shape}"
            )


def _holds(jaxpr, name: str) -> bool:
    def inner(value):
        value = getattr(value, "jaxpr", value)
        if hasattr(value, "eqns"):
            return _holds(value, name)
        return isinstance(value, tuple | list) and any(map(inner, value))

    return any(
        equation.primitive.name == name or any(map(inner, equation.params.values()))
        for equation in jaxpr.eqns
    )
