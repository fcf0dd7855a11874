"""Laws of a scenario that are checked by shapes and traces, without a compile."""

import jax
from jax.extend.core import Literal

from runner.core import named_leaves
from runner.core.abilities import Encoding, Predicting, Reconstructing, Sampling, Spreading, members, supports
from runner.core.protocol import Mean
from runner.testing.comparison import equal
from runner.testing.results import Skip, expect
from runner.testing.subject import Subject
from runner.testing.tracing import trace


def the_parts_fit_the_data(subject: Subject) -> str:
    """Checks by shapes alone that init, step and the metrics of a step fit the data and each other."""
    subject.program.template()
    _, metrics = subject.traced[0].shapes
    expect(metrics, "step returns no metrics")
    for name, leaf in named_leaves(metrics).items():
        expect(leaf.shape == (), f"step returns metric {name} of shape {leaf.shape}; a metric is one number")
    leaves = jax.tree.leaves(subject.template)
    return f"{len(leaves)} leaves, {sum(leaf.size for leaf in leaves)} numbers"


def functions_are_pure_and_leave_their_arguments_unharmed(subject: Subject) -> None:
    """Checks that init, step and evaluate have equal programs when they are traced twice."""
    key, state, _ = subject.arguments
    traces = {
        "init": (subject.traced_init, trace(subject.scenario.init, key, subject.spec)),
        "step": subject.traced,
        "evaluate": [trace(subject.scenario.evaluate, key, state, subject.held_out) for _ in range(2)],
    }
    for name, (first, second) in traces.items():
        expect(not first.harmed, f"{name} changes an argument in place")
        is_same = first.program == second.program and equal(first.constants, second.constants)
        expect(
            is_same, f"{name} differs from call to call: it reads or changes something beside its arguments"
        )
        expect(
            "callback" not in first.program, f"{name} calls back to the host, where nothing can be resumed"
        )


def the_state_holds_arrays_only_and_keeps_their_shapes_and_dtypes(subject: Subject) -> None:
    """Checks the leaves of the state before and after a step."""
    for name in subject.traced_init.numbers:
        raise AssertionError(f"{name} of the state is a number of Python: use jnp.zeros, for example")
    after = named_leaves(subject.traced[0].shapes[0])
    before = named_leaves(subject.template)
    expect(
        before.keys() == after.keys(), f"step changes the leaves of the state: {before.keys() ^ after.keys()}"
    )
    for name, leaf in before.items():
        old, new = (f"{leaf.dtype}{leaf.shape}" for leaf in (leaf, after[name]))
        expect(old == new, f"step changes {name} of the state from {old} to {new}")


def no_two_leaves_of_the_first_state_share_a_buffer(subject: Subject) -> None:
    """Checks that each leaf can be donated: none is another one, compiled or not."""
    names, seen = list(named_leaves(subject.template)), {}
    for name, variable in zip(names, subject.traced_init.jaxpr.outvars, strict=True):
        if not isinstance(variable, Literal):
            expect(
                variable not in seen, f"{name} and {seen.get(variable)} of the state are one array: copy it"
            )
            seen[variable] = name


def steps_may_be_looped_and_mapped_over_keys(subject: Subject) -> None:
    """Checks that init and steps work in a loop within a program, and vectorized, as in an ensemble."""
    _, state, batch = subject.arguments
    init, step = subject.traced_init.function, subject.traced[0].function

    def train(key, batch):
        body = lambda i, state: step(jax.random.fold_in(key, i), state, batch)[0]
        return jax.lax.fori_loop(0, 3, body, init(key, subject.spec))

    keys = jax.random.split(jax.random.key(0), 2)
    states = jax.eval_shape(jax.vmap(train, (0, None)), keys, batch)
    expected = jax.tree.map(lambda leaf: ((2, *leaf.shape), leaf.dtype), state)
    expect(
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), states) == expected,
        "the shapes of the mapped states differ",
    )


def no_key_is_used_twice(subject: Subject) -> None:
    """Checks with JAX's own detector that init, step and evaluate consume each key once."""
    key, state, batch = subject.arguments
    calls = {
        "init": (lambda key: subject.scenario.init(key, subject.spec), key),
        "step": (subject.scenario.step, key, state, batch),
        "evaluate": (subject.scenario.evaluate, key, state, subject.held_out),
    }
    with jax.debug_key_reuse(True):
        for name, (function, *arguments) in calls.items():
            try:
                jax.eval_shape(function, *arguments)
            except jax.errors.KeyReuseError as error:
                raise AssertionError(
                    f"{name} uses a key twice, so that two draws depend on each other"
                ) from error


def nets_are_in_training_mode_in_a_step_alone(subject: Subject) -> None:
    """Checks the argument `is_training` of each call of a net."""
    key, state, _ = subject.arguments
    modes = subject.traced[0].modes
    if not modes and not subject.traced_init.modes:
        raise Skip("no net is called")
    expect(True in modes, "step calls its nets with is_training=False only")
    calls = _methods(subject) | {"evaluate": (1, subject.scenario.evaluate, key, state, subject.held_out)}
    for name, (_, method, *arguments) in calls.items():
        expect(True not in trace(method, *arguments).modes, f"{name} calls a net with is_training=True")


def evaluation_returns_one_value_for_each_example(subject: Subject) -> str:
    """Checks the shapes of the metrics of evaluate."""
    key, state, _ = subject.arguments
    values = jax.eval_shape(subject.scenario.evaluate, key, state, subject.held_out)
    if not subject.spec.features:
        raise Skip("the scenario takes no data")
    size = next(iter(subject.held_out.values())).shape[0]
    for name, value in values.items():
        shape = (value.total if isinstance(value, Mean) else value).shape
        expect(shape[:1] == (size,), f"evaluate returns {name} of shape {shape}, for {size} examples")
    return ", ".join(values)


def what_is_predicted_and_sampled_has_one_entry_for_each_example(subject: Subject) -> str:
    """Checks the shapes of what the optional methods return."""
    methods = _methods(subject)
    if not methods:
        raise Skip("the scenario has none of these methods")
    for name, (count, method, *arguments) in methods.items():
        for leaf in jax.tree.leaves(jax.eval_shape(method, *arguments)):
            expect(leaf.shape[:1] == (count,), f"{name} returns shape {leaf.shape} for {count} examples")
    return ", ".join(methods)


def _methods(subject: Subject) -> dict[str, tuple]:
    """Returns for each optional method by which a net is called the examples it returns, itself, and its arguments."""
    key, state, _ = subject.arguments
    scenario, x, methods = subject.scenario, subject.held_out.get("x"), {}
    if supports(scenario, Sampling):
        methods["sample"] = 3, lambda key, state: scenario.sample(key, state, 3), key, state
    for ability in (Encoding, Predicting, Reconstructing, Spreading):
        (name,) = members(ability)
        if supports(scenario, ability) and x is not None:
            methods[name] = x.shape[0], getattr(scenario, name), state, x
    return methods
