"""The one rule for which value of a metric is the best."""

import math

import pytest

from runner.core import maximized, minimized, undirected
from runner.loop.best import Best, best_of, mode_of, rank

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


DECLARED = minimized(loss="the loss") | maximized(r2="R2") | undirected(logit="a logit")


@pytest.mark.parametrize(
    ("best", "mode", "found"),
    [
        ("loss", None, "min"),
        ("r2", None, "max"),
        ("r2/3", None, "max"),  # of a member, or of an entry
        ("r2", "max", "max"),
        ("logit", "min", "min"),
        ("other", "max", "max"),
    ],
)
def test_the_direction_is_the_declared_one_or_else_the_given_one(best, mode, found):
    assert mode_of(best, mode, DECLARED) == found


@pytest.mark.parametrize("best", ["logit", "other", "r2x"])
def test_a_metric_without_a_direction_needs_one(best):
    with pytest.raises(ValueError, match=rf"loop.mode: nothing declares whether a higher or a lower {best}"):
        mode_of(best, None, DECLARED)


def test_a_direction_that_contradicts_the_declaration_is_kept_in_saved_runs_only():
    assert mode_of("r2", "min", DECLARED, saved=True) == "min"
    with pytest.raises(ValueError, match=r"loop.mode: min contradicts the declaration of r2"):
        mode_of("r2", "min", DECLARED)
