import numpy as np
import pytest

from runner.datasets import line, quadratic


@pytest.mark.parametrize(
    ("make", "curve", "size"), [(line, lambda x: 3 * x + 1, 200), (quadratic, np.square, 128)]
)
def test_points_lie_on_the_curve_and_held_out_ones_between_them(make, curve, size):
    data = make()
    assert data.train.batch_size == data.train.size == size
    for source in data:
        assert source.arrays["x"].shape == source.arrays["y"].shape == (source.size, 1)
        np.testing.assert_allclose(source.arrays["y"], curve(source.arrays["x"]), atol=1e-6)
    train, validation, test = (np.asarray(source.arrays["x"][:, 0]) for source in data)
    for between in (validation, test):
        assert np.all((train[:-1] < between) & (between < train[1:]))
    assert not np.isin(validation, test).any()


def test_noise_is_of_the_given_deviation_and_the_same_in_every_run():
    noisy, again, clean = line(size=4000, noise=0.1), line(size=4000, noise=0.1), line(size=4000)
    for source, same, exact in zip(noisy, again, clean, strict=True):
        np.testing.assert_array_equal(source.arrays["y"], same.arrays["y"])
        np.testing.assert_allclose(np.std(source.arrays["y"] - exact.arrays["y"]), 0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "size: 1 is less than 2"),
        ({"noise": 0.0}, "noise: 0.0 is not a finite number above 0, or null for none"),
        ({"noise": float("nan")}, "noise: nan is not"),
        ({"size": 10, "batch_size": 11}, "batch_size: 11 rows a batch, of 10 rows"),
    ],
)
@pytest.mark.parametrize("make", [line, quadratic])
def test_bad_settings_are_refused(make, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make(**options)
