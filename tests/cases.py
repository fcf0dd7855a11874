"""The scenarios that have a configuration, in the forms that the laws of the protocol are tested in."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

import runner
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import Dataset, Net, lift
from runner.datasets import Arrays
from runner.evaluators import Means
from runner.loop.compiled import Keys, Program
from runner.loop.loop import Loop
from runner.storage.checkpoints import Checkpoints

CONF = Path(runner.__file__).parent / "conf"
SCENARIOS = sorted(path.stem for path in (CONF / "scenario").glob("*.yaml"))
STEPS = 11
FORMS = {
    "as it is": [],
    "options on": ["debug=laws_{scenario}"],
    "an ensemble": ["debug=laws_{scenario}", "ensemble=2"],
}
# Programs take long to compile because they are deep, and long to run because they are wide.
SMALL = {
    "diffusion": ["net.size=8", "net.blocks=1", "net.embedding_size=4"],
    "language_model": ["net.size=8", "net.layers=1", "dataset.size=2000", "dataset.length=8"],
    "ppo": ["net.hidden_sizes=[8]", "scenario.rollout=16", "scenario.episodes=3"],
}
MEMBER = {  # what is off in each member of an ensemble, whose steps are the largest programs
    "diffusion": ["net.channels=[4]"],
    "gan": ["scenario.gradient_penalty=null"],
    "ode_gan": ["integrator@scenario.integrator=heun"],
}
DRAWN = ["dataset.batch_size=8", "dataset.held_out=20"]
UNIFORM = ["net.initializer=glorot"]  # a truncated normal takes longer to compile


@jax.tree_util.register_pytree_node_class
class Blanked:
    """Training batches as they are, but for batch number `blank`, whose rows are zeros."""

    def __init__(self, source, blank=None):
        self.source, self.blank = source, blank
        self.spec, self.batch_size, self.size = source.spec, source.batch_size, source.size

    def feed(self, key, start, length):
        return self.source.feed(key, start, length), np.arange(start, start + length) == self.blank

    def batch(self, key, item):
        blank, rows = item[1], self.source.batch(key, item[0])
        return {name: jnp.where(blank, jnp.zeros_like(values), values) for name, values in rows.items()}

    def tree_flatten(self):
        return (self.source,), None

    @classmethod
    def tree_unflatten(cls, static, leaves):
        made = object.__new__(cls)
        (made.source,) = leaves
        return made


class Untied(Checkpoints):
    """Checkpoints whose arrays are not tied to a device, as those of a first state, so that they share its programs."""

    def restore(self, template, step=None):
        found = super().restore(template, step)
        return found and (found[0], jax.tree.map(jnp.asarray, jax.device_get(found[1])), found[2])


class Rows:
    """A writer that keeps the records of a run."""

    def __init__(self):
        self.records = []

    def write(self, step, metrics, figures):
        self.records.append(metrics)


calls = []  # whether each call of a net was in training mode, as it was traced


@functools.cache
def counted(net):
    """Returns the same net with one more number in its own state: how often it was called in training mode."""
    inner = lift(net)

    def init(key, *inputs, is_training):
        params, net_state = inner.init(key, *inputs, is_training=is_training)
        return params, {"own": net_state, "calls": jnp.zeros((), jnp.int32)}

    def apply(params, net_state, key, *inputs, is_training):
        calls.append(is_training)
        outputs, own = inner.apply(params, net_state["own"], key, *inputs, is_training=is_training)
        return outputs, {"own": own, "calls": net_state["calls"] + 1}

    return Net(init, apply)


def with_counted_nets(part):
    """Replaces every net of a scenario, and of a scenario within it."""
    if isinstance(part, hk.Transformed | hk.TransformedWithState):
        return counted(part)
    if not hasattr(part, "step") or not dataclasses.is_dataclass(part):
        return part
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return dataclasses.replace(part, **{name: with_counted_nets(value) for name, value in fields.items()})


def ragged(dataset: Dataset) -> Dataset:
    """Cuts arrays so that no batch divides them: 53 rows to train on and 21 held out, in batches of 8."""
    if not isinstance(dataset.train, Arrays):
        return dataset
    spec = dataset.spec
    rows = lambda source, size: {name: values[:size] for name, values in source.arrays.items()}
    held_out = Arrays(rows(dataset.validation, 21), 8, spec=spec, shuffle=False)
    return Dataset(Arrays(rows(dataset.train, 53), 8, spec=spec), held_out, held_out)


class Case:
    """A scenario in one of its forms, and what its laws share."""

    def __init__(self, name: str, form: str):
        self.name, self.form = name, form
        self.built = self.build()
        self.scenario, self.spec = self.built.scenario, self.built.dataset.spec
        self.batches = getattr(self.scenario, "batches_per_step", None)

    @functools.cached_property
    def config(self):
        small = {
            "as it is": SMALL.get(self.name, ["net.hidden_sizes=[8]"]),
            "an ensemble": MEMBER.get(self.name),
        }
        options = [text.format(scenario=self.name) for text in FORMS[self.form]]
        data = DRAWN if self.name in ("gan", "ode_gan") else []
        initializer = UNIFORM if self.name not in ("diffusion", "language_model") else []
        sizes = small.get(self.form) or []
        return compose([f"scenario={self.name}", "steps=40", *data, *options, *sizes, *initializer])

    def build(self, **optimizer):
        """Builds the scenario, with other settings of its optimizers if there are any."""
        built = build(self.config | {"optimizer": self.config["optimizer"] | optimizer})
        has_size = hasattr(built.evaluator, "size")  # of the sets that it compares, whatever the options
        compares = has_size and self.form == "as it is"
        evaluator = dataclasses.replace(built.evaluator, size=8) if compares else Means()
        dataset = ragged(built.dataset)
        return built._replace(
            scenario=with_counted_nets(built.scenario),
            dataset=dataset._replace(train=Blanked(dataset.train)),
            evaluator=evaluator,
        )

    def run(self, steps: int = STEPS, built=None, seed: int = 0, arguments=None, blank=None, **settings):
        """Returns the state after so many steps."""
        built = self.built if built is None else built
        dataset = built.dataset._replace(train=Blanked(built.dataset.train.source, blank))
        loop = Loop(steps=steps, **{"log_every": 5, **settings})
        return jax.device_get(
            loop.run(built.scenario, dataset, key=jax.random.key(seed), **(arguments or {}))
        )

    @property
    def program(self):
        return Program(self.scenario, self.built.dataset.train, Keys.of(jax.random.key(0)))

    @functools.cached_property
    def first(self):
        return self.program.init()

    def one_step(self, keys: Keys):
        """Returns the state after one step that draws from other keys than the first state did."""
        program = self.program
        program.keys = keys
        state = jax.tree.map(jnp.asarray, jax.device_get(self.first))  # a copy, for it is donated
        state, *_ = next(program.advance(state, 0, 1, fused=True))
        return jax.device_get(state)

    @functools.cached_property
    def reference(self):
        return self.run()

    @functools.cached_property
    def traced_init(self):
        return trace(self.scenario.init, jax.random.key(0), self.spec)

    @functools.cached_property
    def traced(self):
        """Returns what is recorded when one step is traced, and traced once more."""
        return trace(self.scenario.step, *self.arguments), trace(self.scenario.step, *self.arguments)

    def shapes_of_batch(self, lead: tuple[int, ...]):
        features = self.spec.features.items()
        return {name: jax.ShapeDtypeStruct(lead + shape, dtype) for name, (shape, dtype) in features}

    @property
    def arguments(self):
        """Returns a key, the first state and the shapes of what one step takes."""
        size = self.built.dataset.train.batch_size
        lead = (size,) if self.batches is None else (self.batches, size)
        return jax.random.key(1), self.first, self.shapes_of_batch(lead)

    @property
    def held_out(self):
        return self.shapes_of_batch((self.built.dataset.validation.batch_size,))


class Trace(NamedTuple):
    function: Any  # jitted: to call it again with such arguments does not trace it again
    program: str
    constants: list
    outputs: list  # variables of the program
    shapes: Any  # of what is returned
    modes: set[bool]  # in which nets were called: True is training
    harmed: bool  # whether an argument was changed in place


def trace(function, *arguments) -> Trace:
    """Traces a function, which compiles nothing."""
    harmed = []

    @jax.jit
    def watched(*arguments):
        before = jax.tree.flatten(arguments)
        outputs = function(*arguments)
        harmed.append(not same(before, jax.tree.flatten(arguments)))
        return outputs

    calls.clear()
    traced = watched.trace(*arguments)
    program = re.sub("0x[0-9a-f]+", "", str(traced.jaxpr))  # without addresses
    outputs = traced.jaxpr.jaxpr.outvars
    return Trace(watched, program, traced.jaxpr.consts, outputs, traced.out_info, set(calls), any(harmed))


def same(one, two) -> bool:
    """Returns whether two flattened states have the same leaves."""
    return one[1] == two[1] and all(a is b for a, b in zip(one[0], two[0], strict=True))
