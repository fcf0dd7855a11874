"""The one rule for which value of a metric is the best."""

import math

import pytest

from runner.loop.best import Best, best_of, rank

VALUES = [(1, 0.5), (2, math.nan), (3, 0.2), (4, None), (5, 0.2), (6, 0.5), (7, -math.inf)]


@pytest.mark.parametrize(("mode", "best"), [("min", (3, 0.2)), ("max", (1, 0.5))])
def test_the_first_of_equal_values_is_the_best_and_what_is_not_finite_never_is(mode, best):
    assert best_of(VALUES, mode) == best
    found = Best()
    for step, value in VALUES:
        found = found if value is None else found.after(step, value, mode)
    assert (found.step, found.value) == best


def test_without_a_finite_value_there_is_no_best():
    assert best_of([(1, math.nan), (2, None)], "min") is None


def test_evaluations_since_the_best_one_are_counted():
    best = Best().after(1, 0.5, "max").after(2, 0.5, "max").after(3, math.nan, "max")
    assert best == Best(0.5, 1, misses=2)
    assert best.after(4, 0.6, "max") == Best(0.6, 4)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_missing_values_rank_last(mode):
    assert max([0.0, 1e300, -1e300, None], key=lambda value: rank(value, mode)) is None
