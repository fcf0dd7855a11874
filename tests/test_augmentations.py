"""Random changes of images: what each does to pixels, and that they are the same whenever a step is computed."""

import functools
import json

import jax
import numpy as np
import pytest

from runner.augmentations import color, crop, erase, flip
from runner.cli import main
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core.abilities import Positioned, supports
from runner.datasets import Arrays, Augmented, Stream

KEY = jax.random.key(0)
X = np.random.default_rng(0).random((64, 6, 8, 3)).astype(np.float32)


def changed(function, **settings):
    return np.asarray(jax.jit(functools.partial(function, **settings))(KEY, X))


@pytest.mark.parametrize(("vertical", "axis"), [(False, 2), (True, 1)])
def test_half_of_the_images_are_mirrored(vertical, axis):
    x = changed(flip, vertical=vertical)
    is_mirrored = (x == np.flip(X, axis)).all((1, 2, 3))
    assert ((x == X).all((1, 2, 3)) ^ is_mirrored).all()
    assert 20 < is_mirrored.sum() < 44


def test_each_image_is_shifted_by_whole_pixels_with_its_border_repeated():
    shifts = set()
    for image, original in zip(changed(crop, padding=0.25), X, strict=True):
        padded = np.pad(original, ((2, 2), (2, 2), (0, 0)), "edge")
        fits = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.array_equal(padded[row : row + 6, column : column + 8], image)
        ]
        assert len(fits) == 1
        shifts.update(fits)
    assert len(shifts) > 15
    assert np.array_equal(changed(crop, padding=0.0), X)


def test_colours_change_within_the_range_of_the_batch():
    x = changed(color)
    assert x.min() >= X.min()
    assert x.max() <= X.max()
    assert 0.02 < np.abs(x - X).mean() < 0.2
    np.testing.assert_allclose(
        changed(color, brightness=0.0, contrast=0.0, saturation=0.0), X, rtol=1e-5, atol=1e-6
    )


def test_each_setting_of_colour_changes_what_it_says():
    strong = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
    bright, contrasted, saturated = (changed(color, **strong | {name: 0.5}) for name in strong)
    inside = np.all((bright < X.max()), (1, 2, 3))
    low = X.min()
    ratios = (bright[inside] - low)[X[inside] > low + 0.01] / (X[inside] - low)[X[inside] > low + 0.01]
    assert 0.499 < ratios.min() < ratios.max() < 1.501
    grey, mean = X.mean(3), X.mean((1, 2, 3))
    is_free = (saturated > low) & (saturated < X.max())
    free = is_free.all(3)
    np.testing.assert_allclose(saturated.mean(3)[free], grey[free], rtol=1e-4)
    unclipped = ((contrasted > low) & (contrasted < X.max())).all((1, 2, 3))
    np.testing.assert_allclose(contrasted.mean((1, 2, 3))[unclipped], mean[unclipped], rtol=1e-4)
    assert unclipped.any()


def test_a_rectangle_becomes_the_mean_of_the_image():
    x = changed(erase, area=0.25)
    is_erased = (x != X).all(3)
    assert 0 < is_erased.mean((1, 2)).max() <= 0.4  # a quarter, up to whole pixels
    for image, original, erased in zip(x, X, is_erased, strict=True):
        rows, columns = erased.any(1), erased.any(0)
        assert np.array_equal(erased, rows[:, None] & columns)
        assert np.array_equal(image[~erased], original[~erased])
        if erased.any():
            np.testing.assert_allclose(image[erased].mean(0), original.mean((0, 1)), rtol=1e-4)


@pytest.mark.parametrize(
    ("function", "settings"),
    [(crop, {"padding": 1.5}), (color, {"contrast": -0.1}), (erase, {"area": 2})],
)
def test_a_setting_that_is_no_fraction_is_refused(function, settings):
    with pytest.raises(ValueError, match=rf"^{next(iter(settings))}: .* is not from 0 to 1"):
        function(KEY, X, **settings)


def test_a_step_has_its_own_changes_which_follow_from_the_key_of_the_run_alone():
    sources = [Augmented(Arrays({"x": X[:8]}, None), {"flip": flip, "crop": crop}) for _ in range(2)]
    batch = jax.jit(
        lambda source, step: source.batch(jax.random.fold_in(KEY, step), source.feed(KEY, 0, 1)[0])["x"]
    )
    first, again = (np.asarray(batch(source, 3)) for source in sources)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, np.asarray(batch(sources[0], 4)))


def test_only_the_training_images_of_a_run_are_changed():
    words = ["dataset=digits", "net.hidden_sizes=[4]", "dataset.batch_size=8"]
    plain, parts = (build(compose([*words, *more])).dataset for more in ([], ["augment=[flip,erase]"]))
    assert isinstance(parts.train, Augmented)
    assert not isinstance(parts.validation, Augmented)
    assert not isinstance(parts.test, Augmented)
    assert np.array_equal(parts.train.feed(KEY, 0, 2), plain.train.feed(KEY, 0, 2))
    assert parts.train.spec is parts.spec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["dataset=iris", "augment=flip"],
            r"augment: needs images x .* x of this data is float32 of shape \(4,\)",
        ),
        (["augment=crop", "augment.crop.padding=2"], r"augment: crop.padding: 2.0 is not from 0 to 1"),
    ],
)
def test_what_cannot_be_changed_is_refused(words, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        build(compose([*words, "net.hidden_sizes=[4]"]))


def test_a_function_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"^half: returns .* for x of float32 and shape \(8, 6, 8, 3\)"):
        Augmented(Arrays({"x": X[:8]}, None), {"half": lambda key, x: x[:, ::2]})
    with pytest.raises(ValueError, match=r"^needs images x .* is none"):
        Augmented(Arrays({"z": X[:8]}, None), {})


@pytest.mark.slow
def test_an_augmented_run_that_is_resumed_equals_the_whole_bit_for_bit(tmp_path):
    words = [
        "augment=[flip,crop,color,erase]",
        "net.hidden_sizes=[4]",
        "dataset.batch_size=8",
        "figures=false",
    ]
    words += ["loop.evaluate_every=null", "loop.save_every=3", "loop.log_every=1"]
    main([*words, "steps=6", f"hydra.run.dir={tmp_path / 'whole'}"])
    main([*words, "steps=3", f"hydra.run.dir={tmp_path / 'resumed'}"])
    main(["resume", str(tmp_path / "resumed"), "steps=6"])
    losses = {
        name: [
            json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        ]
        for name in ("whole", "resumed")
    }
    assert losses["whole"] == losses["resumed"]
    assert len(set(losses["whole"])) == 6


def test_a_source_keeps_what_only_some_sources_have():
    stream = Stream([{"x": X[:8]}], size=8)
    augmented = Augmented(stream, {"flip": flip})
    assert supports(augmented, Positioned)
    assert (augmented.resumable, augmented.digest) == (True, stream.digest)
    arrays = Augmented(Arrays({"x": X[:8]}, None), {"flip": flip})
    assert not supports(arrays, Positioned)
    assert not hasattr(arrays, "resumable")
