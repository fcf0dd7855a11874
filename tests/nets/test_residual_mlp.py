import pytest

from runner.nets import residual_mlp


@pytest.mark.parametrize("frequency", [-1.0, 0.0, 0.5, float("inf"), float("nan")])
def test_a_highest_frequency_below_the_lowest_or_without_end_is_refused(frequency):
    with pytest.raises(
        ValueError, match=rf"^max_frequency: {frequency} is not a finite number of at least 1$"
    ):
        residual_mlp((2,), max_frequency=frequency)
