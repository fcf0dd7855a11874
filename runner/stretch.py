"""The compiled call: many steps of a scenario at once."""

import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runner.numbers import join, split
from runner.scenario import named_leaves
from runner.types import Key, Metrics, Source, Spec

CAPACITY = 128  # steps in the longest stretch; the length itself is dynamic, so there is one compile
SECONDS = (
    0.5  # a stretch that took less is followed by one twice as long, so that none takes much over a second
)


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
        scenario: satisfies `runner.scenario.Scenario`.
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

    def place(self, tree: Any) -> Any:
        """Puts arrays where the steps want them: on each of the devices that share the batches."""
        return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def template(self) -> Any:
        """Gives shapes and dtypes of the state, and refuses parts that do not fit each other, before any compile."""
        try:
            return self._template()
        except (TypeError, ValueError, AssertionError) as error:
            shapes = ", ".join(
                f"{name} {dtype}{list(shape)}" for name, (shape, dtype) in self.spec.features.items()
            )
            raise ValueError(f"the parts do not fit the data ({shapes}): {error}") from error

    def _template(self) -> Any:
        state = jax.eval_shape(_initialize, self.rest, self.numbers, self.keys.init, self.spec)
        lead = (self.source.batch_size,) if self.batches is None else (self.batches, self.source.batch_size)
        shapes = {name: (lead + shape, dtype) for name, (shape, dtype) in self.spec.features.items()}
        batch = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in shapes.items()}
        step = lambda numbers, state, batch: join(self.rest, numbers).step(self.keys.step, state, batch)
        after, _ = jax.eval_shape(step, self.numbers, state, batch)
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

    def has_native_convolutions(self, state: Any, step: int) -> bool:
        """Tells whether the traced steps, from `step` on, hold one; the trace is what is compiled later."""
        traced = _stretch.trace(*self._arguments(state, step, 1))
        return _holds(traced.jaxpr.jaxpr, "conv_general_dilated")

    def _arguments(self, state, step: int, length: int) -> tuple:
        pad = lambda rows: np.concatenate([rows, np.zeros((CAPACITY - length, *rows.shape[1:]), rows.dtype)])
        feed = self.place(jax.tree.map(pad, self._take(step, length)))
        return (
            self.rest,
            self.mesh,
            self.numbers,
            state,
            self.keys,
            np.int32(step),
            np.int32(length),
            self.source,
            feed,
        )

    def advance(self, state: Any, step: int, end: int, fused: bool, check: Any = None) -> Iterator[tuple]:
        """Runs from `step` to `end` in stretches, each read once the next one is dispatched.

        Yields:
            The newest state, steps made before the stretch that was read, its length, its metrics `[length, ...]`.
        """
        pending = None
        while step < end or pending is not None:
            before, pending = pending, None
            if step < end:
                length, dispatched = min(self._length, end - step), time.perf_counter()
                if fused:
                    state, table = _stretch(*self._arguments(state, step, length))
                else:
                    state, table = self._unfused(state, step, length, check)
                pending = step, length, table, dispatched
                step += length
            if before is not None:
                made, length, table, dispatched = before
                rows = jax.tree.map(lambda column, length=length: column[:length], jax.device_get(table))
                self._pace(time.perf_counter() - max(dispatched, self._read))
                yield state, made, length, rows

    def _pace(self, seconds: float) -> None:
        self._read = time.perf_counter()
        if seconds < SECONDS:
            self._length = min(2 * self._length, CAPACITY)
        elif seconds > 2 * SECONDS:
            self._length = max(self._length // 2, 1)

    def _unfused(self, state: Any, step: int, length: int, check: Any) -> tuple[Any, Metrics]:
        feed, rows = self._take(step, length), []
        for place in range(length):
            item = self.place(jax.tree.map(lambda rows, place=place: rows[place], feed))
            arguments = (self.numbers, state, self.keys, np.int32(step + place), self.source, item)
            state, metrics = _single(self.rest, self.mesh, *arguments)
            if check is not None:
                check(step + place + 1, state)
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(jax.device_get(values)), *rows)


@functools.partial(jax.jit, static_argnums=0)
def _initialize(rest, numbers, key: Key, spec: Spec):
    return join(rest, numbers).init(key, spec)


def _one(rest, numbers, state, keys: Keys, step, source, item, mesh: Mesh | None):
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
    return _one(rest, numbers, state, keys, step, source, item, mesh)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnames="state")
def _stretch(rest, mesh, numbers, state, keys, start, length, source, feed):
    def body(place, carry):
        state, table = carry
        item = jax.tree.map(lambda rows: rows[place], feed)
        state, metrics = _one(rest, numbers, state, keys, start + place, source, item, mesh)
        return state, jax.tree.map(lambda rows, value: rows.at[place].set(value), table, metrics)

    first = jax.tree.map(lambda rows: rows[0], feed)
    _, shapes = jax.eval_shape(
        lambda state: _one(rest, numbers, state, keys, start, source, first, mesh), state
    )
    table = jax.tree.map(lambda value: jnp.zeros((CAPACITY, *value.shape), value.dtype), shapes)
    return jax.lax.fori_loop(0, length, body, (state, table))


def _mesh(devices: int | str, batch_size: int) -> Mesh | None:
    found = jax.device_count()
    count = found if devices == "all" else int(devices)
    if count == 1:
        return None
    if count > found:
        raise ValueError(f"devices: {count} are asked for; there are {found}")
    if batch_size % count:
        raise ValueError(f"devices: a batch of {batch_size} cannot be shared by {count} devices evenly")
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
