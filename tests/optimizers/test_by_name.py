"""Any optimizer of optax by `from_optax`, and what all optimizers share: clip, schedule, accumulate, groups."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import optimizers
from runner.core import create, infer, optimization, update, update_jointly
from runner.schedules import Cosine

PARAMS = {"linear": {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}}
NET = hk.transform(lambda x: hk.Linear(1)(x))
X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)), jnp.float32)
Y = X.sum(1, keepdims=True)


def trained(optimizer, steps=4):
    """Returns the parameters after some steps, computed without a compile of the whole."""
    params, state = PARAMS, optimizer.init(PARAMS)
    for number in range(steps):
        grads = jax.tree.map(lambda leaf, number=number: jnp.sin(leaf + number), params)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params


def same(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), one, other)


def test_an_optimizer_by_name_is_that_of_optax():
    same(trained(optimizers.from_optax(optax.lamb, 1e-2, b1=0.8)), trained(optax.lamb(1e-2, b1=0.8)))
    ours = optimizers.from_optax(optax.adabelief, 1e-2, clip=0.5, schedule=Cosine(), horizon=8.0)
    rate = optax.cosine_decay_schedule(1e-2, 8)
    same(trained(ours), trained(optax.chain(optax.clip_by_global_norm(0.5), optax.adabelief(rate))))


def test_a_transformation_without_a_learning_rate_is_given_one():
    same(trained(optimizers.from_optax(optax.trace, 0.1, decay=0.9)), trained(optax.sgd(0.1, momentum=0.9)))
    with pytest.raises(ValueError, match="learning_rate: trace would move along the gradient: give it one"):
        optimizers.from_optax(optax.trace, decay=0.9)
    with pytest.raises(
        ValueError, match="learning_rate: polyak_sgd would move along the gradient: leave it out"
    ):
        optimizers.from_optax(optax.polyak_sgd, 0.1)


def test_gradients_are_accumulated_and_schedules_count_updates():
    ours = optimizers.sgd(0.1, schedule=Cosine(), horizon=8.0, accumulate=2)
    assert [float(ours.rate(count)) for count in (0, 2, 4)] == pytest.approx([0.1, 0.05, 0.0])
    theirs = optax.MultiSteps(optax.sgd(optax.cosine_decay_schedule(0.1, 4)), 2)
    same(trained(ours), trained(theirs))
    with pytest.raises(ValueError, match="accumulate: 0 is less than 1"):
        optimizers.sgd(accumulate=0)


def test_groups_have_options_of_their_own():
    groups = {"b$": {"weight_decay": 0.0}, "linear": {"learning_rate": 1e-3}}
    ours = trained(optimizers.adamw(1e-2, weight_decay=0.1, groups=groups))["linear"]
    same(ours["b"], trained(optax.adamw(1e-2, weight_decay=0.0))["linear"]["b"])  # the first that matches
    same(ours["w"], trained(optax.adamw(1e-3, weight_decay=0.1))["linear"]["w"])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"norm": {"b1": 0.5}}, "groups: 'norm' matches no parameter"),
        ({"linear": {}, "b$": {}}, r"groups: 'b\$' matches no parameter, or only those of earlier groups"),
        ({"(": {}}, r"groups: '\(' is no regular expression"),
        ({"b": {"weight_decai": 0}}, "has no 'weight_decai'; did you mean weight_decay"),
        ({"b": {"learning_rate": -1.0}}, "learning_rate: -1.0 is not a finite number above 0"),
        ({"b": {"b1": 2.0}}, "b1: 2.0 is not a decay"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        optimizers.adamw(groups=groups).init(PARAMS)


def fitted(optimizer, steps=3):
    state = create(NET, optimizer, jax.random.key(0), X)

    def loss(net):
        value = optax.losses.squared_error(NET.apply(net.params, None, X), Y).mean()
        return value, (net, {"loss": value})

    values = []
    step = jax.jit(lambda state: update(optimizer, state, loss))
    for _ in range(steps):
        state, metrics = step(state)
        values.append(float(metrics["loss"]))
    return state, values


def test_an_optimizer_gets_the_value_of_the_loss_if_it_needs_it():
    _, values = fitted(optimizers.from_optax(optax.lbfgs, memory_size=3))
    assert values[0] > 10 * values[2]
    for optimizer in (optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()), optax.polyak_sgd()):
        assert optimization.needs_values(optimizer)
    assert not optimization.needs_values(optax.chain(optax.adam(0.1)))
    assert not optimization.needs_values(optimizers.adam())
    ours = optimizers.from_optax(optax.contrib.reduce_on_plateau, 0.1)
    _, values = fitted(ours)
    assert values[0] > values[1] > values[2]


def test_several_nets_are_updated_one_after_another():
    optimizer, params = optax.polyak_sgd(), {"w": jnp.array([2.0])}
    nets = [
        create((lambda key, x: params, lambda params, x: x), optimizer, jax.random.key(0), X)
        for _ in range(2)
    ]

    def loss(one, other):
        value = (one.params["w"][0] * other.params["w"][0]) ** 2
        return value, ((one, other), {"loss": value})

    (one, other), metrics = update_jointly(optimizer, nets, loss)
    assert float(metrics["loss"]) == 16.0
    assert float(one.params["w"][0]) == pytest.approx(1.0)  # 2 - 16 / 16^2 * 16
    assert float(other.params["w"][0]) == pytest.approx(1.0)  # 2 - 4 / 4^2 * 4


@pytest.mark.parametrize("setting", [{"clip": 1.0}, {"accumulate": 2}, {"groups": {"b": {}}}])
def test_what_changes_gradients_is_refused_where_the_loss_is_needed(setting):
    with pytest.raises(ValueError, match=f"{next(iter(setting))}: lbfgs needs the loss"):
        optimizers.from_optax(optax.lbfgs, **setting)


def test_a_schedule_needs_a_learning_rate_that_it_can_scale():
    def fixed(learning_rate: float):
        return optax.sgd(learning_rate)

    with pytest.raises(ValueError, match="schedule: adafactor has no learning rate here"):
        optimizers.from_optax(optax.adafactor, schedule=Cosine(), horizon=8.0)
    with pytest.raises(ValueError, match="schedule: the learning rate of fixed is a number"):
        optimizers.from_optax(fixed, 0.1, schedule=Cosine(), horizon=8.0)


def test_schedule_free_evaluates_its_average():
    optimizer = optimizers.from_optax(optax.contrib.schedule_free_sgd, 0.1)
    state, _ = fitted(optimizer)
    (average,) = (
        part
        for part in jax.tree.leaves(state.opt_state, is_leaf=lambda part: hasattr(part, "z"))
        if hasattr(part, "z")
    )
    expected = NET.apply(optax.contrib.schedule_free_eval_params(average, state.params), None, X)
    assert not np.allclose(expected, NET.apply(state.params, None, X))
    np.testing.assert_allclose(infer(NET, state, X), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="groups: schedule_free_sgd averages all parameters"):
        optimizers.from_optax(optax.contrib.schedule_free_sgd, 0.1, groups={"b": {}}).init(PARAMS)


def test_an_optimizer_that_fails_is_named():
    optimizer = optax.lookahead(optax.sgd(0.1), 2, 0.5)
    with pytest.raises(ValueError, match="optimizer: lookahead does not work here"):
        fitted(optimizer)


def test_an_option_may_be_a_mapping():
    mask = {"linear": {"w": True, "b": False}}
    ours = optimizers.from_optax(optax.adamw, 1e-2, weight_decay=0.5, mask=mask)
    same(trained(ours), trained(optax.adamw(1e-2, weight_decay=0.5, mask=mask)))
    hash(jax.tree.structure(ours))  # of which a compiled call is a function
    with pytest.raises(ValueError, match=r"^b1: {'w': 1} is not a number"):
        optimizers.from_optax(optax.adamw, 1e-2, b1={"w": 1})
