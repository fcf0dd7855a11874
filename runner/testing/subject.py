"""A scenario with its data, and what its checks share: short runs, traces and first states."""

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from runner.core import (
    Batch,
    Dataset,
    Evaluator,
    Key,
    Metrics,
    PyTree,
    Scenario,
    Source,
    named_leaves,
)
from runner.core.abilities import batches_per_step
from runner.loop import Loop
from runner.loop.compiled import Keys, Program
from runner.loop.partition import join, split
from runner.storage.checkpoints import Checkpoints
from runner.testing.comparison import gap
from runner.testing.recorded import DATA_KEY, Recorded, Rows
from runner.testing.results import Skip
from runner.testing.tracing import Trace, trace, with_counted_nets

STEPS = 11  # of a short run
EPSILON = 1e-6  # about the last digits of float32


class Subject:
    """A scenario whose nets count their calls, with its data.

    Args:
        scenario: satisfies `runner.core.Scenario`.
        data: as in `runner.Loop.run`.
        evaluator: as in `runner.Loop.run`.
        fuse: as in `runner.Loop`.
    """

    def __init__(
        self,
        scenario: Scenario[PyTree],
        data: Dataset | Source,
        evaluator: Evaluator[PyTree] | None = None,
        fuse: str = "auto",
    ):
        train = data.train if isinstance(data, Dataset) else data
        self.original, self.fuse = scenario, fuse
        self.scenario: PyTree = with_counted_nets(scenario)
        self.batches = batches_per_step(scenario)
        self.spec, self.batch_size = train.spec, train.batch_size
        self.train = Recorded(train, STEPS * (self.batches or 1))
        self.validation = data.validation if isinstance(data, Dataset) else None
        self.evaluator = evaluator if self.validation is not None else None

    def run(
        self,
        steps: int = STEPS,
        *,
        scenario: PyTree = None,
        train: Recorded | None = None,
        seed: int = 0,
        evaluated: bool = False,
        checkpoints: Checkpoints | None = None,
        writers: tuple = (),
        warm_start: Callable[[PyTree], PyTree] | None = None,
        **settings: PyTree,
    ) -> PyTree:
        """Returns the state after so many steps, on the host; settings are those of `runner.Loop`."""
        train, held_out = train or self.train, self.validation if evaluated else None
        data = train if held_out is None else Dataset(train, held_out, held_out)
        loop = Loop(steps=steps, **{"log_every": 5, "fuse": self.fuse, **settings})
        state = loop.run(
            self.scenario if scenario is None else scenario,
            data,
            key=jax.random.key(seed),
            evaluator=self.evaluator if evaluated else None,
            checkpoints=checkpoints,
            writers=writers,
            warm_start=warm_start,
        )
        return jax.device_get(state)

    @functools.cached_property
    def _reference(self) -> PyTree:
        rows = Rows()
        try:
            return self.run(writers=(rows,)), rows.records
        except Exception as error:
            return error, []

    @property
    def reference(self) -> PyTree:
        """The state after a short run, which most checks compare with.

        Raises:
            Skip: this run failed, as another check reports.
        """
        if isinstance(self._reference[0], Exception):
            raise Skip("a short run fails")
        return self._reference[0]

    @property
    def outcome(self) -> tuple[PyTree, list[Metrics]]:
        """The state after a short run, and its records.

        Raises:
            Exception: the run failed.
        """
        if isinstance(self._reference[0], Exception):
            raise self._reference[0]
        return self._reference

    @functools.cached_property
    def slack(self) -> dict[str, float]:
        """How far the last digits of the first state lead: name of a leaf -> norm of the difference after a run."""
        numbers = np.random.default_rng(0)

        def changed(state):
            shift = lambda leaf: (leaf * (1 + EPSILON * numbers.choice([-1, 1], leaf.shape))).astype(
                leaf.dtype
            )
            leaves = jax.device_get(state)
            is_float = lambda leaf: np.issubdtype(leaf.dtype, np.floating)
            return jax.tree.map(lambda leaf: jnp.asarray(shift(leaf) if is_float(leaf) else leaf), leaves)

        after = jax.tree.leaves(self.run(warm_start=changed))
        pairs = zip(named_leaves(self.reference).items(), after, strict=True)
        return {name: gap(leaf, other) for (name, leaf), other in pairs}

    @property
    def program(self) -> Program:
        """A program of its steps; cheap, as compiled calls are shared."""
        return Program(self.scenario, self.train, Keys.of(jax.random.key(0)))

    @functools.cached_property
    def first(self) -> PyTree:
        """The first state, on the device."""
        return self.program.init()

    @functools.cached_property
    def is_fused(self) -> bool:
        """Whether the steps of its runs share one compiled call."""
        return self.program.compile(self.first, 0, self.fuse)

    def one_step(
        self, state: PyTree, step: int = 0, key: Key | None = None, train: Recorded | None = None
    ) -> tuple[PyTree, Metrics]:
        """Returns the state and the metrics after one step, which may draw from another key."""
        program = Program(self.scenario, train or self.train, Keys.of(jax.random.key(0)))
        if key is not None:
            program.keys = program.keys._replace(step=key)
        program.compile(state, step, self.fuse)
        given = jax.tree.map(jnp.asarray, jax.device_get(state))  # a copy, for it is donated
        after, _, _, table = next(program.advance(given, step, step + 1, self.is_fused))
        return jax.device_get(after), {name: value[0] for name, value in table.items()}

    @functools.cached_property
    def traced_init(self) -> Trace:
        """What is recorded when the first state is traced."""
        return trace(self.scenario.init, jax.random.key(0), self.spec)

    @functools.cached_property
    def traced(self) -> tuple[Trace, Trace]:
        """What is recorded when one step is traced, and traced once more."""
        return trace(self.scenario.step, *self.arguments), trace(self.scenario.step, *self.arguments)

    def shapes_of_batch(self, lead: tuple[int, ...]) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes of a batch with these leading axes."""
        features = self.spec.features.items()
        return {name: jax.ShapeDtypeStruct(lead + shape, dtype) for name, (shape, dtype) in features}

    @property
    def template(self) -> PyTree:
        """Shapes and dtypes of the state."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self.traced_init.shapes
        )

    @property
    def arguments(self) -> tuple:
        """A key, and the shapes of the state and the batch, which one step takes."""
        lead = (self.batch_size,) if self.batches is None else (self.batches, self.batch_size)
        return jax.random.key(1), self.template, self.shapes_of_batch(lead)

    @property
    def held_out(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes of a held-out batch."""
        source = self.validation or self.train
        return self.shapes_of_batch((source.batch_size,))

    def held_out_batch(self) -> Batch:
        """Returns the first held-out batch, or without held-out data the first training batch."""
        source, key = self.validation or self.train, jax.random.key(DATA_KEY)
        item = jax.tree.map(lambda rows: rows[0], source.feed(key, 0, 1))
        return source.batch(jax.random.fold_in(key, 0), item)

    def batch(self, step: int) -> Batch:
        """Returns the training batch, or the batches, of one step."""
        count = self.batches or 1
        feed = self.train.feed(self.train.key, step * count, count)
        batches = [
            self.train.batch(self.train.key, jax.tree.map(operator.itemgetter(n), feed)) for n in range(count)
        ]
        return batches[0] if self.batches is None else jax.tree.map(lambda *rows: jnp.stack(rows), *batches)

    def with_other_floats(self) -> PyTree:
        """Returns the scenario with slightly smaller floats among its settings."""
        structure, leaves = split(self.scenario)
        return join(structure, tuple(leaf * 0.99 if isinstance(leaf, float) else leaf for leaf in leaves))
