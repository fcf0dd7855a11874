"""The scenarios that draw, write and encode: what their laws do not say."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from runner import Loop
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import AdversarialLoss, Spec, Statistics
from runner.integrators import rk4
from runner.losses import absolute_error, bernoulli, gaussian, non_saturating
from runner.scenarios import ODEGAN, VAE, Diffusion, LanguageModel
from runner.testing.tracing import counted

KEY = jax.random.key(0)
OPTIMIZER = optax.sgd(1.0)


def spec_of(x, **known):
    return Spec.of({"x": np.asarray(x, np.float32)}, **known)


# Diffusion

DEVIATION = 0.5
NORMAL = spec_of([[2.0 - DEVIATION], [2.0 + DEVIATION]])  # one number, of mean 2 and deviation 1/2


def exact_noise(params, x, variance):
    """Gives the mean of the noise in a noisy standard normal number, whose deviation stays 1: sqrt(variance) x."""
    return jnp.sqrt(variance)[:, None] * x


EXACT = Diffusion((lambda key, x, variance: {}, exact_noise), OPTIMIZER, optax.squared_error, ema=None)


@pytest.mark.parametrize("steps", [1, 5, 20, 200])
def test_with_the_exact_noise_each_step_turns_a_sample_by_its_share_of_the_angle(steps):
    x = EXACT.sample(KEY, EXACT.init(KEY, NORMAL), 50, diffusion_steps=steps)
    start, end = np.arccos(0.95), np.arccos(0.02)
    turn = (end - start) / steps
    share = np.cos(start + turn) * np.cos(turn) ** (steps - 1)  # of the noise to begin with: 0.02 to 0.95
    np.testing.assert_allclose(x, 2 + DEVIATION * share * jax.random.normal(KEY, (50, 1)), rtol=1e-4)


def test_one_key_draws_one_set_of_samples_and_each_sample_is_its_own():
    state = EXACT.init(KEY, NORMAL)
    draw = lambda key: np.asarray(EXACT.sample(key, state, 50))
    assert np.array_equal(draw(KEY), draw(KEY))
    assert not np.array_equal(draw(KEY), draw(jax.random.key(1)))
    assert len(np.unique(draw(KEY))) == 50


def test_rates_are_those_of_their_settings_at_both_ends_and_their_squares_add_up_to_one():
    noise, signal = EXACT._rates(jnp.array([0.0, 0.3, 1.0]), jnp.zeros((3, 1)))
    np.testing.assert_allclose(signal[[0, 2], 0], [0.95, 0.02], rtol=1e-5)
    np.testing.assert_allclose(noise**2 + signal**2, 1, rtol=1e-6)


def test_the_losses_are_of_the_noise_and_of_the_image_in_standard_form():
    state = EXACT.init(KEY, NORMAL)
    x = 2 + DEVIATION * jax.random.normal(KEY, (20_000, 1))
    values = EXACT.evaluate(KEY, state, {"x": x})
    time = jax.random.uniform(KEY, (100_000,))
    _, signal = EXACT._rates(time, jnp.zeros((100_000, 1)))
    # Given the noisy number, noise and image are uncertain by the other's rate.
    np.testing.assert_allclose(values["noise_loss"].mean(), np.square(signal).mean(), rtol=0.05)
    np.testing.assert_allclose(values["image_loss"].mean(), 1 - np.square(signal).mean(), rtol=0.05)
    both = dataclasses.replace(EXACT, image_weight=2.0).evaluate(KEY, state, {"x": x})
    np.testing.assert_allclose(both["loss"], both["noise_loss"] + 2 * both["image_loss"], rtol=1e-5)


def test_the_average_of_the_net_follows_its_updates_and_is_what_samples_and_is_evaluated():
    net = (lambda key, x, variance: {"w": jnp.ones(1)}, lambda params, x, variance: params["w"][None] * x)
    raw = dataclasses.replace(EXACT, net=net)
    averaged = dataclasses.replace(raw, ema=0.9)
    state, x = averaged.init(KEY, NORMAL), jnp.array([[1.5], [2.5]])
    after, _ = averaged.step(KEY, state, {"x": x})
    old, new = state.net.params["w"], after.net.params["w"]
    assert abs(new - old) > 1e-3
    np.testing.assert_allclose(after.average["w"], new, rtol=1e-6)  # without the initial value
    assert np.array_equal(
        after.net.params["w"], raw.step(KEY, raw.init(KEY, NORMAL), {"x": x})[0].net.params["w"]
    )
    alone = raw.init(KEY, NORMAL)._replace(net=after.net._replace(params=after.average))
    assert np.array_equal(averaged.sample(KEY, after, 5), raw.sample(KEY, alone, 5))
    metrics, expected = averaged.evaluate(KEY, after, {"x": x}), raw.evaluate(KEY, alone, {"x": x})
    assert all(np.array_equal(metrics[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"diffusion_steps": 0}, "diffusion_steps: 0 is less than 1"),
        ({"min_signal_rate": 0.96}, "min_signal_rate: 0.96 and max_signal_rate 0.95 are not in rising order"),
        ({"min_signal_rate": 0.0}, "min_signal_rate: 0.0"),
        ({"max_signal_rate": 1.0}, "min_signal_rate: 0.02 and max_signal_rate 1.0"),
        ({"ema": 1.0}, "ema: 1.0"),
        ({"loss": non_saturating}, "loss: Diffusion needs a function"),
    ],
)
def test_settings_of_diffusion_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        dataclasses.replace(EXACT, **settings)


def test_a_sample_in_no_steps_is_refused():
    with pytest.raises(ValueError, match=r"^diffusion_steps: 0 is less than 1"):
        EXACT.sample(KEY, EXACT.init(KEY, NORMAL), 3, diffusion_steps=0)


def test_the_absolute_error_keeps_its_shape():
    assert absolute_error(jnp.array([[1.0, -2.0]]), jnp.array([[3.0, 1.0]])).tolist() == [[2.0, 3.0]]


# ODE-GAN

PLAYER = (lambda key, x: {"w": jnp.ones(())}, lambda params, x: params["w"] * x.sum(-1))
BILINEAR = AdversarialLoss(generator=lambda fake: fake, discriminator=lambda real, fake: -fake)
GAME = ODEGAN(
    (lambda key, z: {"w": jnp.ones(())}, lambda params, z: params["w"] * jnp.ones_like(z)),
    PLAYER,
    BILINEAR,
    rk4,
    latent_size=1,
    step_size=0.3,
    regularization=None,
)


def play(game, steps):
    state = game.init(KEY, spec_of([[0.0], [1.0]]))
    step = jax.jit(game.step)
    for number in range(steps):
        state, metrics = step(jax.random.key(number), state, {"x": jnp.ones((4, 1))})
    return float(state.generator.params["w"]), float(state.discriminator.params["w"]), metrics


def test_the_players_move_together_along_the_joint_field():
    # The generator's loss is w v, the discriminator's -w v: from (1, 1) they turn, v + i w, by one radian a time.
    generator, discriminator, metrics = play(GAME, 10)
    angle = np.arctan2(discriminator, generator) - np.pi / 4
    np.testing.assert_allclose(np.hypot(generator, discriminator), math.sqrt(2), rtol=1e-3)
    np.testing.assert_allclose(np.mod(angle, 2 * np.pi), np.mod(0.3 * 10, 2 * np.pi), rtol=2e-3)
    assert {"generator_loss", "discriminator_loss", "generator_gradient"} <= metrics.keys()


def test_the_penalty_draws_the_discriminator_towards_a_small_gradient_at_the_start_point():
    # The generator's gradient is v, so the penalty is v^2 and its slope 2 v, at v = 1.
    plain, penalised = (play(dataclasses.replace(GAME, regularization=weight), 1) for weight in (None, 0.07))
    assert plain[0] == penalised[0]
    np.testing.assert_allclose(plain[1] - penalised[1], 0.3 * 0.07 * 2, rtol=1e-4)
    np.testing.assert_allclose(penalised[2]["penalty"], 1.0, rtol=1e-6)


def test_the_players_own_states_see_real_and_fake_x_once_whatever_the_stages():
    players = {name: counted(getattr(GAME, name)) for name in ("generator", "discriminator")}
    game = dataclasses.replace(GAME, **players, regularization=0.07)
    state = game.init(KEY, spec_of([[0.0], [1.0]]))
    after, _ = game.step(KEY, state, {"x": jnp.ones((4, 1))})
    assert int(after.discriminator.net_state["calls"]) == 2
    assert int(after.generator.net_state["calls"]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": absolute_error}, "loss: ODEGAN needs"),
        ({"integrator": 3}, "integrator: ODEGAN needs"),
        ({"latent_size": 0}, "latent_size: 0"),
        ({"step_size": 0.0}, "step_size: 0.0 is not above 0"),
    ],
)
def test_settings_of_the_ode_gan_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        dataclasses.replace(GAME, **settings)


# The variational autoencoder

ENCODED = (
    lambda key, x: {},
    lambda params, x: jnp.concatenate([x, jnp.full_like(x, math.log(0.25))], axis=-1),  # N(x, 1/4)
)
DECODED = (lambda key, z: {}, lambda params, z: z)


def test_the_bound_is_made_of_the_likelihood_and_the_divergence_in_nats():
    vae = VAE(ENCODED, DECODED, OPTIMIZER, gaussian, latent_size=1, beta=3.0)
    state = vae.init(KEY, spec_of([[0.0], [1.0]]))
    x = jnp.full((50_000, 1), 0.8)
    values = vae.evaluate(KEY, state, {"x": x})
    divergence = 0.5 * (0.8**2 + 0.25 - 1 - math.log(0.25))
    np.testing.assert_allclose(values["divergence"], divergence, rtol=1e-5)
    reconstruction = 0.5 * 0.25 + 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(values["reconstruction"].mean(), reconstruction, rtol=0.01)
    np.testing.assert_allclose(values["loss"], values["reconstruction"] + 3 * divergence, rtol=1e-5)


def test_binary_pixels_are_drawn_as_their_means_and_codes_are_means_too():
    vae = VAE(ENCODED, DECODED, OPTIMIZER, bernoulli, latent_size=1)
    state = vae.init(KEY, spec_of([[0.0], [1.0]]))
    samples = vae.sample(KEY, state, 100)
    assert 0 < samples.min() < samples.max() < 1
    x = jnp.array([[0.2], [0.7]])
    assert np.array_equal(vae.features(state, x), x)
    np.testing.assert_allclose(vae.reconstruct(state, x), jax.nn.sigmoid(x), rtol=1e-6)


def test_data_outside_a_likelihoods_bounds_is_refused():
    vae = VAE(ENCODED, DECODED, OPTIMIZER, bernoulli, latent_size=1)
    with pytest.raises(ValueError, match=r"the mean of x is outside 0.0 to 1.0, .* use loss=gaussian"):
        vae.output_shapes(spec_of([[5.0], [6.0]]))
    with pytest.raises(ValueError, match=r"^standardize:"):
        dataclasses.replace(vae, standardize=True)
    with pytest.raises(ValueError, match=r"^loss: VAE needs a likelihood"):
        dataclasses.replace(vae, loss=absolute_error)


# The autoencoder


def test_an_autoencoder_is_evaluated_in_the_units_of_its_data():
    parts = build(compose(["scenario=autoencoder", "dataset=diabetes", "net.hidden_sizes=[8]"]))
    scenario, dataset = parts.scenario, parts.dataset
    state = scenario.init(KEY, dataset.spec)
    x = dataset.validation.arrays["x"]
    again = scenario.reconstruct(state, x)
    values = scenario.evaluate(KEY, state, {"x": x})
    np.testing.assert_allclose(values["squared_error"], ((again - x) ** 2).mean(1), rtol=1e-5)
    standard = Statistics.of(dataset.spec, "x")
    expected = ((standard.standardize(again) - standard.standardize(x)) ** 2).mean(1)
    np.testing.assert_allclose(values["loss"], expected, rtol=1e-3)
    assert scenario.features(state, x).shape == (len(x), 8)


# The language model


def successor(params, x):
    """Is sure that each letter is followed by the next of five."""
    return 50.0 * jax.nn.one_hot((x + 1) % 5, 5)


SPEC = Spec({"x": ((6,), "int32"), "y": ((6,), "int32")}, vocabulary="abcde", entropy=np.float32(0.25))
WRITER = LanguageModel(
    (lambda key, x: {}, successor),
    OPTIMIZER,
    optax.losses.softmax_cross_entropy_with_integer_labels,
    context=6,
    burn_in=2,
)


@pytest.mark.parametrize("length", [3, 6, 20])
@pytest.mark.parametrize("prompt", [(), (3,), (0, 1, 2, 3, 4, 0, 1, 2)])
def test_what_is_written_goes_on_from_the_prompt_beyond_the_context_too(prompt, length):
    tokens = np.asarray(WRITER.sample(KEY, WRITER.init(KEY, SPEC), 4, length=length, prompt=prompt))
    assert tokens.shape == (4, len(prompt) + length)
    assert np.array_equal(tokens[:, : len(prompt)], np.broadcast_to(prompt, (4, len(prompt))))
    assert np.array_equal(tokens[:, 1:], (tokens[:, :-1] + 1) % 5)


def test_a_high_temperature_writes_anything():
    tokens = np.asarray(WRITER.sample(KEY, WRITER.init(KEY, SPEC), 50, length=20, temperature=1000.0))
    follows = (tokens[:, 1:] == (tokens[:, :-1] + 1) % 5).mean()
    assert 0.15 < follows < 0.27


def test_the_loss_leaves_the_burn_in_out_and_is_set_against_the_entropy():
    x = jnp.array([[0, 1, 2, 3, 4, 0]])
    y = (x + 1) % 5
    wrong_first = y.at[0, 0].set(0)  # within the burn-in
    state = WRITER.init(KEY, SPEC)
    values = WRITER.evaluate(KEY, state, {"x": x, "y": wrong_first})
    np.testing.assert_allclose(values["loss"], 0, atol=1e-6)
    np.testing.assert_allclose(values["excess"], -0.25, atol=1e-6)
    wrong_last = WRITER.evaluate(KEY, state, {"x": x, "y": y.at[0, 5].set(0)})
    np.testing.assert_allclose(wrong_last["loss"], 50 / 4, rtol=1e-5)
    np.testing.assert_allclose(wrong_last["accuracy"], 0.75)
    assert WRITER.summarize({"loss": 2.0})["perplexity"] == pytest.approx(math.exp(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"burn_in": 6}, "burn_in: 6 of a context of 6"),
        ({"length": 0}, "length: 0 is less than 1"),
        ({"temperature": 0.0}, "temperature: 0.0 is not above 0"),
        ({"loss": non_saturating}, "loss: LanguageModel needs"),
    ],
)
def test_settings_of_a_language_model_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        dataclasses.replace(WRITER, **settings)


def test_a_language_model_refuses_what_is_no_text():
    with pytest.raises(ValueError, match="the data has no vocabulary: use dataset=text"):
        WRITER.output_shapes(NORMAL)
    with pytest.raises(ValueError, match=r"x has shape \(7,\); scenario.context is 6"):
        WRITER.output_shapes(Spec({"x": ((7,), "int32")}, vocabulary="ab"))


@pytest.mark.slow
def test_a_language_model_comes_near_the_entropy_of_its_source():
    parts = build(compose(["scenario=language_model", "dataset.symbols=6", "scenario.burn_in=2"]))
    state = Loop(steps=400).run(parts.scenario, parts.dataset, key=KEY)
    metrics, _ = parts.evaluator(KEY, parts.scenario, state, parts.dataset.test)
    assert -0.05 < metrics["excess"] < 0.1


@pytest.mark.slow
def test_diffusion_finds_the_modes_of_the_ring():
    parts = build(compose(["experiment=diffusion_ring", "steps=1500"]))
    state = Loop(steps=1500).run(parts.scenario, parts.dataset, key=KEY)
    metrics, _ = parts.evaluator(KEY, parts.scenario, state, parts.dataset.test)
    assert metrics["modes"] == 8
    assert metrics["energy_distance"] < 0.03
