import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import optimizers
from runner.loop.partition import join, split
from runner.schedules import Constant, Cosine, Exponential, Piecewise, WarmupCosine

PARAMS = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
PAIRS = {
    "adam": (optimizers.adam(1e-2, b1=0.8), optax.adam(1e-2, b1=0.8)),
    "adamw": (optimizers.adamw(1e-2, weight_decay=0.1), optax.adamw(1e-2, weight_decay=0.1)),
    "sgd": (optimizers.sgd(0.1, momentum=0.9, nesterov=True), optax.sgd(0.1, momentum=0.9, nesterov=True)),
    "rmsprop": (optimizers.rmsprop(1e-2, momentum=0.5), optax.rmsprop(1e-2, momentum=0.5)),
    "lion": (optimizers.lion(1e-3), optax.lion(1e-3)),
    "clipped": (
        optimizers.adam(1e-2, clip=0.5),
        optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-2)),
    ),
}


def trained(optimizer, steps=20, params=PARAMS):
    def step(i, carry):
        params, state = carry
        grads = jax.tree.map(lambda p: jnp.sin(p + i), params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(lambda params: jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params))))(
        params
    )[0]


@pytest.mark.parametrize("name", PAIRS)
def test_each_equals_optax_own_bit_for_bit(name):
    ours, theirs = (trained(optimizer) for optimizer in PAIRS[name])
    assert all(jax.tree.leaves(jax.tree.map(jnp.array_equal, ours, theirs)))


def plain_sgd(grad, memory, count, w):
    return -0.1 * grad, memory


def plain_momentum(grad, memory, count, w):
    memory = 0.9 * memory + grad
    return -0.1 * memory, memory


def plain_adam(grad, memory, count, w, decay=0.0):
    first, second = memory if count > 1 else (0.0, 0.0)
    first, second = 0.8 * first + 0.2 * grad, 0.99 * second + 0.01 * grad**2
    update = first / (1 - 0.8**count) / (np.sqrt(second / (1 - 0.99**count)) + 1e-8)
    return -0.01 * (update + decay * w), (first, second)


def plain_adamw(grad, memory, count, w):
    return plain_adam(grad, memory, count, w, decay=0.1)


def plain_lion(grad, memory, count, w):
    update = np.sign(0.9 * memory + 0.1 * grad)
    return -0.01 * (update + 0.1 * w), 0.99 * memory + 0.01 * grad


@pytest.mark.parametrize(
    ("optimizer", "plain"),
    [
        (optimizers.sgd(0.1), plain_sgd),
        (optimizers.sgd(0.1, momentum=0.9), plain_momentum),
        (optimizers.adam(0.01, b1=0.8, b2=0.99), plain_adam),
        (optimizers.adamw(0.01, b1=0.8, b2=0.99, weight_decay=0.1), plain_adamw),
        (optimizers.lion(0.01, weight_decay=0.1), plain_lion),
    ],
    ids=["sgd", "momentum", "adam", "adamw", "lion"],
)
def test_twenty_steps_equal_the_equations_in_numpy(optimizer, plain):
    w, memory = np.linspace(-1, 2, 6), 0.0
    for count in range(1, 21):
        update, memory = plain(np.sin(w + count - 1), memory, count, w)
        w = w + update
    found = trained(optimizer, params={"w": jnp.linspace(-1, 2, 6)})["w"]
    np.testing.assert_allclose(found, w, rtol=1e-4, atol=1e-6)
    assert np.abs(found - np.linspace(-1, 2, 6)).max() > 0.01


@pytest.mark.parametrize("name", PAIRS)
def test_numbers_as_arguments_of_the_compiled_call_give_the_same_to_rounding(name):
    rest, numbers = split(PAIRS[name][0])
    given = jax.jit(lambda numbers: trained(join(rest, numbers)))(numbers)
    for one, other in zip(jax.tree.leaves(given), jax.tree.leaves(trained(PAIRS[name][0])), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_two_that_differ_in_floats_only_have_an_equal_structure():
    one, other = (split(optimizers.adam(rate, clip=clip)) for rate, clip in ((1e-3, 1.0), (2e-3, 5.0)))
    assert one[0] == other[0]
    assert hash(one[0]) == hash(other[0])
    assert one[1] != other[1]
    assert split(optimizers.adam(1e-3))[0] != one[0]  # no clipping is another program


@pytest.mark.parametrize(
    ("schedule", "factors"),  # at 0, a quarter, half and the end of the run
    [
        (Constant(), (1, 1, 1, 1)),
        (Cosine(0.2), (1, 0.8828427, 0.6, 0.2)),
        (WarmupCosine(0.5, 0.1), (0, 0.5, 1, 0.1)),
        (Exponential(0.01), (1, 0.3162278, 0.1, 0.01)),
        (Piecewise((0.25, 0.6), 0.1), (1, 0.1, 0.1, 0.01)),
    ],
)
def test_schedules_are_factors_over_the_fraction_of_the_run(schedule, factors):
    optimizer = optimizers.sgd(2.0, schedule=schedule, horizon=40)
    rates = [float(optimizer.rate(count)) for count in (0, 10, 20, 40)]
    np.testing.assert_allclose(rates, 2.0 * np.array(factors), rtol=1e-5)
    assert float(optimizer.rate(80)) == rates[-1]


def test_a_schedule_passes_in_steps_where_a_step_makes_several_updates():
    import dataclasses

    once = optimizers.adam(1.0, schedule=Cosine(), horizon=10)
    thrice = dataclasses.replace(once, updates_per_step=3)
    assert float(thrice.rate(15)) == float(once.rate(5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.adam(float("nan")), "learning_rate: nan is not a finite number above 0"),
        (lambda: optimizers.sgd(0.0), "learning_rate"),
        (lambda: optimizers.adam(clip=0.0), "clip"),
        (lambda: optimizers.adam(schedule=Cosine()), "horizon"),
        (lambda: optimizers.adam(schedule=lambda fraction: 1 - fraction), "horizon"),
        (lambda: WarmupCosine(warmup=0.0), "warmup"),
        (lambda: Exponential(0.0), "final"),
    ],
)
def test_wrong_numbers_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
