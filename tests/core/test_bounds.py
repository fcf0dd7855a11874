"""Bounds of settings, and what is said of a setting that is out of them."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from runner.core.bounds import (
    adversarial_loss,
    at_least,
    at_most,
    check,
    count,
    decay,
    finite,
    likelihood,
    loss_of_targets,
    one_of,
    optional,
    override,
    positive,
    require,
    runge_kutta,
    share,
    weight,
    whole,
)
from runner.integrators import rk4
from runner.losses import absolute_error, bernoulli, hinge

WITHIN = [
    (count, [1, 7]),
    (at_least(2), [2, 3]),
    (at_most(1000), [1, 1000]),
    (one_of("min", "max"), ["min", "max"]),
    (whole, [3, np.int64(3)]),
    (positive, [1e-9, math.inf]),
    (finite, [1e-9, 1e9]),
    (weight, [0, 0.0, 1e9]),
    (share, [0.0, 1.0]),
    (decay, [0.0, 0.999]),
    (loss_of_targets, [absolute_error]),
    (adversarial_loss, [hinge]),
    (likelihood, [bernoulli]),
    (runge_kutta, [rk4]),
]
OUTSIDE = [
    (count, 0, "size: 0 is less than 1"),
    (at_least(2), 1, "size: 1 is less than 2"),
    (one_of("min", "max"), "less", "size: 'less' is none of min, max"),
    (whole, 2.5, "size: 2.5 is not a whole number"),
    (at_most(1000), 1001, "size: 1001 is more than 1000"),
    (positive, 0.0, "size: 0.0 is not above 0"),
    (positive, math.nan, "size: nan is not above 0"),
    (finite, 0.0, "size: 0.0 is not a finite number above 0"),
    (finite, math.inf, "size: inf is not a finite number above 0"),
    (weight, -1.0, "size: -1.0 is not a finite number from 0 up"),
    (weight, math.inf, "size: inf is not a finite number from 0 up"),
    (share, 1.5, "size: 1.5 is not from 0 to 1"),
    (decay, 1.0, "size: 1.0 is not a decay, from 0 to less than 1"),
    (loss_of_targets, hinge, "size: Net needs a function of outputs and targets, such as squared_error"),
    (loss_of_targets, None, "size: Net needs a function of outputs and targets"),
    (adversarial_loss, absolute_error, "size: Net needs the losses of two players, such as non_saturating"),
    (likelihood, absolute_error, "size: Net needs a likelihood, such as bernoulli"),
    (runge_kutta, 3, "size: Net needs a Runge-Kutta method, such as rk4"),
]


@dataclasses.dataclass
class Net:
    size: Any
    depth: Any = 1


@pytest.mark.parametrize(("bound", "values"), WITHIN)
def test_values_within_a_bound_pass(bound, values):
    for value in values:
        require(Net(value), size=bound)


@pytest.mark.parametrize(("bound", "value", "message"), OUTSIDE)
def test_a_value_outside_a_bound_is_reported_with_its_name(bound, value, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        require(Net(value), size=bound)


def test_a_setting_that_may_be_off_still_has_its_bound():
    require(Net(None), size=optional(decay))
    with pytest.raises(ValueError, match=r"^size: 1.0 is not a decay"):
        require(Net(1.0), size=optional(decay))


def test_the_first_setting_that_fails_is_reported():
    with pytest.raises(ValueError, match=r"^depth: 0 is less than 1"):
        require(Net(0, 0), depth=count, size=count)


def test_an_argument_overrides_a_field_and_has_its_bound():
    assert override(Net(3), "size", None, count) == 3
    assert override(Net(3), "size", 5, count) == 5
    with pytest.raises(ValueError, match=r"^size: 0 is less than 1$"):
        override(Net(3), "size", 0, count)


def test_a_value_that_is_no_field_is_checked_by_name():
    check("length", 3, count, at_most(3))
    with pytest.raises(ValueError, match=r"^length: 0 is less than 1$"):
        check("length", 0, count)
    with pytest.raises(ValueError, match=r"^length: 4 is more than 3$"):
        check("length", 4, count, at_most(3))
