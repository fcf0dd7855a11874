"""Compiled programs in memory: released where there are very many, and otherwise kept."""

import functools

import jax
import jax.numpy as jnp

from runner.compose.build import build
from runner.compose.command_line import compose
from runner.loop import compiled, loop
from runner.process.compile_cache import release_programs
from runner.process.memory import memory_maps


def compile_many(count: int) -> None:
    for size in range(1, count + 1):
        jax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(size)).block_until_ready()


def train(*overrides: str) -> None:
    parts = build(compose(["dataset=iris", "steps=3", *overrides]))
    parts.loop.run(parts.scenario, parts.dataset, key=jax.random.key(0), evaluator=parts.evaluator)


def test_programs_are_released_where_they_take_too_many_memory_maps():
    release_programs(0)
    before = memory_maps()
    compile_many(40)
    programs = memory_maps() - before
    assert programs > 40
    release_programs(40)
    assert memory_maps() - before < programs / 2


def test_what_was_released_is_compiled_again_when_it_is_called():
    double = jax.jit(lambda x: 2 * x)
    assert double(3.0) == 6.0
    release_programs(0)
    assert double._cache_size() == 0
    assert double(3.0) == 6.0


def test_programs_that_take_few_memory_maps_are_kept():
    release_programs(0)
    train("net.hidden_sizes=[5]")
    programs = compiled._chunk._cache_size()
    train("net.hidden_sizes=[5]", "seed=1")
    assert programs == compiled._chunk._cache_size() == 1


def test_runs_of_many_structures_in_one_process_keep_its_memory_maps_bounded(monkeypatch):
    release_programs(0)
    before = memory_maps()
    train("net.hidden_sizes=[8]")
    of_one_run = memory_maps() - before
    monkeypatch.setattr(loop, "release_programs", functools.partial(release_programs, of_one_run))
    for size in range(9, 15):
        train(f"net.hidden_sizes=[{size}]")
        assert memory_maps() - before < 3 * of_one_run
