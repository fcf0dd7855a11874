import pytest

from runner.nets import unet


@pytest.mark.parametrize("shape", [(), (2,), (8, 8)])
def test_outputs_that_are_no_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"^unet makes images \[height, .*\], not .*: take residual_mlp"):
        unet(shape)


@pytest.mark.parametrize(
    ("frequency", "message"),
    [(0.0, "0.0 is less than 1"), (float("inf"), "inf is not a finite number above 0")],
)
def test_a_highest_frequency_below_the_lowest_or_infinite_is_refused(frequency, message):
    with pytest.raises(ValueError, match=f"^max_frequency: {message}$"):
        unet((8, 8, 1), max_frequency=frequency)
