import pytest

from runner.nets import unet


@pytest.mark.parametrize("shape", [(), (2,), (8, 8)])
def test_outputs_that_are_no_images_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"^unet needs images \[height, .*\], not outputs .*: take residual_mlp"
    ):
        unet(shape)


def test_a_highest_frequency_below_the_lowest_is_refused():
    with pytest.raises(ValueError, match=r"^max_frequency: 0.0 is not a finite number of at least 1$"):
        unet((8, 8, 1), max_frequency=0.0)
