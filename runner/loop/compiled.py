"""Chunks: many steps of a scenario in one compiled call."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from runner.core import Key, Metrics, PyTree, Scenario, Source, Spec, State, named_leaves
from runner.core.abilities import Positioned, batches_per_step, supports
from runner.errors import ConfigError, is_deliberate, is_in_users_code
from runner.loop.devices import mesh_of
from runner.loop.finite import are_finite, refuse_not_finite
from runner.loop.partition import join, split

CAPACITY = 128  # steps in the longest chunk; the length itself is dynamic, so there is one compile
FEED_BYTES = 2**25  # bytes that the host sends for a chunk of full capacity, unless a single step needs more
# A chunk that took less time than this is followed by one twice as long, so that none takes much over a second.
SECONDS = 0.5
Check = Callable[[int, PyTree], None] | None  # of a state after a step
Stop = Callable[[], bool] | None  # whether to end after the running chunk


class Keys(NamedTuple):
    """The keys of the parts of a run; step `t` uses `fold_in(key, t)`."""

    init: Key
    step: Key
    data: Key
    evaluate: Key

    @classmethod
    def of(cls, root: Key) -> "Keys":
        """Derives the four keys from the root key of the run."""
        return cls(*(jax.random.fold_in(root, number) for number in range(4)))

    def evaluate_at(self, step: int) -> Key:
        """Returns the key of the evaluation after `step` steps."""
        return jax.random.fold_in(self.evaluate, step)


class Program(Generic[State]):
    """The compiled steps of a scenario on a source.

    Args:
        scenario: satisfies `runner.core.Scenario`.
        source: the source of the training batches.
        keys: the keys of the run.
        devices: the number of devices that share each batch, or "all".

    Raises:
        ValueError: there are fewer devices than requested, or they cannot share a batch evenly.
    """

    def __init__(self, scenario: Scenario[State], source: Source, keys: Keys, devices: int | str = 1):
        self.structure, self.leaves = split(scenario)
        self.batches = batches_per_step(scenario)
        self.mesh = mesh_of(devices, source.batch_size)
        self.keys, self.spec = keys, source.spec
        self.data, self.source = source, self.place(source)
        self._length, self._last_read, self._fetched = 1, 0.0, (-1, 0, None)
        self._capacity = CAPACITY

    def place(self, tree: PyTree) -> PyTree:
        """Returns arrays copied to each of the devices that share the batches, or unchanged if there is one device."""
        return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def template(self) -> State:
        """Returns shapes and dtypes of the state; checks, before any compile, that the parts fit each other.

        Raises:
            ValueError: a part does not fit another, by shapes and dtypes alone.
        """
        try:
            return self._template()
        except (TypeError, ValueError, AssertionError) as error:
            of_one_part = isinstance(error, ConfigError)  # a net or an optimizer; the data is not the cause
            if of_one_part or (is_in_users_code(error) and not is_deliberate(error)):
                raise
            shapes = ", ".join(
                f"{name} {dtype}{list(shape)}" for name, (shape, dtype) in self.spec.features.items()
            )
            raise ValueError(f"the parts do not fit the data ({shapes}): {error}") from error

    def _template(self) -> State:
        state = jax.eval_shape(_initialize, self.structure, self.leaves, self.keys.init, self.spec)
        if self.mesh is not None:
            replicated = NamedSharding(self.mesh, PartitionSpec())
            state = jax.tree.map(lambda leaf: leaf.update(sharding=replicated), state)
        lead = (self.source.batch_size,) if self.batches is None else (self.batches, self.source.batch_size)
        shapes = {name: (lead + shape, dtype) for name, (shape, dtype) in self.spec.features.items()}
        batch = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in shapes.items()}
        after, _ = jax.eval_shape(_step, self.structure, self.leaves, self.keys.step, state, batch)
        _check_unchanged(state, after)
        return state

    def _take(self, step: int, length: int) -> PyTree:
        if self._fetched[:2] != (step, length):  # a stream yields its batches only once
            self._fetched = step, length, self._fetch(step, length)
        return self._fetched[2]

    def _fetch(self, step: int, length: int) -> PyTree:
        if self.batches is None:
            return self.data.feed(self.keys.data, step, length)
        feed = self.data.feed(self.keys.data, step * self.batches, length * self.batches)
        return jax.tree.map(lambda rows: rows.reshape(length, self.batches, *rows.shape[1:]), feed)

    def position(self, step: int) -> dict[str, object]:
        """Returns what the source of the data needs to continue after `step` steps, as a value for the checkpoint."""
        if not supports(self.data, Positioned):
            return {}
        position = self.data.position(step * (self.batches or 1))
        return {} if position is None else {"position": position}

    def seek(self, step: int, position: object) -> None:
        """Continues with the data after `step` steps, from the position that the checkpoint contains, or None."""
        if supports(self.data, Positioned):
            self.data.seek(step * (self.batches or 1), position)

    def init(self) -> State:
        """Computes the first state."""
        return self.place(_initialize(self.structure, self.leaves, self.keys.init, self.spec))

    def compile(self, state: State, step: int, fuse: str) -> bool:
        """Compiles the steps from shapes, so that the first state can be computed in parallel.

        Args:
            state: the state after `step` steps; shapes and dtypes are enough.
            step: the steps done so far.
            fuse: as in `Loop`.

        Returns:
            Whether the steps of a chunk share one compiled call.
        """
        size = sum(rows.nbytes for rows in jax.tree.leaves(self._take(step, 1)))
        self._capacity = max(1, min(CAPACITY, FEED_BYTES // max(size, 1)))
        chunk = _chunk.trace(*self._arguments(state, step, 1))
        slow = jax.default_backend() == "cpu" and _contains(chunk.jaxpr.jaxpr, "conv_general_dilated")
        if fuse == "always" or (fuse == "auto" and not slow):
            chunk.lower().compile()
            return True
        item = self._item(self._take(step, 1), 0)
        _single.trace(*self._shared(state), np.int32(step), self.source, item).lower().compile()
        return False

    def _shared(self, state: State) -> tuple:
        return self.structure, self.mesh, self.leaves, state, self.keys

    def _arguments(self, state: State, step: int, length: int) -> tuple:
        pad = lambda rows: np.concatenate(
            [rows, np.zeros((self._capacity - length, *rows.shape[1:]), rows.dtype)]
        )
        feed = self.place(jax.tree.map(pad, self._take(step, length)))
        return (self._capacity, *self._shared(state), np.int32(step), np.int32(length), self.source, feed)

    def advance(
        self, state: State, step: int, end: int, fused: bool, check: Check = None, stop: Stop = None
    ) -> Iterator[tuple[State, int, int, Metrics]]:
        """Runs the steps from `step` to `end` in chunks; reads the metrics of each once the next one is dispatched.

        Args:
            state: the state after `step` steps; donated.
            step: the steps done so far.
            end: the steps done after the last chunk.
            fused: as returned by `compile`.
            check: called with (steps done, state) after each step that is not fused.
            stop: returns whether to end after the running chunk.

        Yields:
            The newest state, the steps done before the chunk whose metrics were read, the length of this chunk, and
            its metrics `[length, ...]`.

        Raises:
            NotFinite: the last state, or one of those checked from time to time, is not finite.
        """
        pending, last_check = None, time.perf_counter()
        while True:
            previous, pending = pending, None
            if step < end and not (stop is not None and stop()):
                length, dispatched, finite = min(self._length, end - step), time.perf_counter(), None
                state, table = self._run(state, step, length, fused, check)
                if dispatched - last_check > SECONDS:  # a check takes as long as some steps of a small net
                    finite, last_check = are_finite(state), dispatched
                pending = step, length, (table, finite), dispatched
                step += length
            elif previous is None:
                return
            if previous is not None:
                start, length, outcome, dispatched = previous
                table, finite = jax.device_get(outcome)
                rows = jax.tree.map(lambda column, length=length: column[:length], table)
                self._pace(time.perf_counter() - max(dispatched, self._last_read))
                yield state, start, length, rows
                if finite is not None or pending is None:
                    refuse_not_finite(start + length, state, finite)

    def _run(self, state: State, step: int, length: int, fused: bool, check: Check) -> tuple[State, Metrics]:
        if fused:
            return _chunk(*self._arguments(state, step, length))
        return self._unfused(state, step, length, check)

    def _pace(self, seconds: float) -> None:
        self._last_read = time.perf_counter()
        if seconds < SECONDS:
            self._length = min(2 * self._length, self._capacity)
        elif seconds > 2 * SECONDS:
            self._length = max(self._length // 2, 1)

    def _unfused(self, state: State, step: int, length: int, check: Check) -> tuple[State, Metrics]:
        feed, rows = self._take(step, length), []
        for index in range(length):
            arguments = np.int32(step + index), self.source, self._item(feed, index)
            state, metrics = _single(*self._shared(state), *arguments)
            if check is not None:
                check(step + index + 1, state)
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(jax.device_get(values)), *rows)

    def single(self, state: State, step: int) -> tuple[State, Metrics]:
        """Returns the state and the metrics after one step; the given state is not donated."""
        return _one(*self._shared(state), np.int32(step), self.source, self._item(self._take(step, 1), 0))

    def _item(self, feed: PyTree, index: int) -> PyTree:
        return self.place(jax.tree.map(lambda rows: rows[index], feed))


# Initialization is most of what a short run compiles, and runs once: it is not worth optimizing.
@functools.partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 1})
def _initialize(structure, leaves, key: Key, spec: Spec):
    return join(structure, leaves).init(key, spec)


@functools.partial(jax.jit, static_argnums=0)
def _step(structure, leaves, key: Key, state, batch):
    return join(structure, leaves).step(key, state, batch)


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)  # traced once, wherever it is called
def _one(structure, mesh: Mesh | None, leaves, state, keys: Keys, step, source, item):
    scenario = join(structure, leaves)
    batches = batches_per_step(scenario)
    if batches is None:
        batch = source.batch(jax.random.fold_in(keys.data, step), item)
    else:
        batch_keys = jax.vmap(lambda number: jax.random.fold_in(keys.data, number))
        batch = jax.vmap(source.batch)(batch_keys(step * batches + jnp.arange(batches)), item)
    if mesh is not None:
        sharding = NamedSharding(
            mesh, PartitionSpec("data") if batches is None else PartitionSpec(None, "data")
        )
        batch = jax.lax.with_sharding_constraint(batch, sharding)
    return scenario.step(jax.random.fold_in(keys.step, step), state, batch)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnames="state")
def _single(structure, mesh, leaves, state, keys, step, source, item):
    return _one(structure, mesh, leaves, state, keys, step, source, item)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnames="state")
def _chunk(capacity, structure, mesh, leaves, state, keys, start, length, source, feed):
    def body(index, carry):
        state, table = carry
        item = jax.tree.map(lambda rows: rows[index], feed)
        state, metrics = _one(structure, mesh, leaves, state, keys, start + index, source, item)
        return state, jax.tree.map(lambda rows, value: rows.at[index].set(value), table, metrics)

    first = jax.tree.map(lambda rows: rows[0], feed)
    _, shapes = jax.eval_shape(_one, structure, mesh, leaves, state, keys, start, source, first)
    table = jax.tree.map(lambda value: jnp.zeros((capacity, *value.shape), value.dtype), shapes)
    return jax.lax.fori_loop(0, length, body, (state, table))


def _check_unchanged(before: PyTree, after: PyTree) -> None:
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise ValueError(f"step returns a state of another structure than init: {jax.tree.structure(after)}")
    for (name, old), new in zip(named_leaves(before).items(), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"step changes {name} of the state from {old.dtype}{old.shape} to {new.dtype}{new.shape}"
            )


def _contains(jaxpr, name: str) -> bool:
    def inner(value):
        value = getattr(value, "jaxpr", value)
        if hasattr(value, "eqns"):
            return _contains(value, name)
        return isinstance(value, tuple | list) and any(map(inner, value))

    return any(
        equation.primitive.name == name or any(map(inner, equation.params.values()))
        for equation in jaxpr.eqns
    )
