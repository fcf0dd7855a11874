import jax
import numpy as np
import pytest

from runner.datasets import grid, ring

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("data", "modes"),
    [(ring(batch_size=100_000), 8), (grid(batch_size=100_000), 25), (grid(100_000, 4, 1.0, 0.02), 16)],
    ids=["ring", "grid", "small_grid"],
)
def test_the_spec_is_that_of_the_samples(data, modes):
    spec, x = data.spec, np.asarray(data.train.batch(KEY, None)["x"])
    np.testing.assert_allclose(x.mean(0), spec.mean["x"], atol=0.03)
    np.testing.assert_allclose(x.std(0), spec.std["x"], rtol=0.01)
    centres, spread = spec.modes
    assert centres.shape == (modes, 2)
    distances = ((x[:, None] - centres) ** 2).sum(-1)
    near = distances.argmin(1)
    np.testing.assert_allclose(np.sqrt(distances.min(1).mean() / 2), spread, rtol=0.02)
    np.testing.assert_allclose(np.bincount(near, minlength=modes) * modes / len(x), 1, atol=0.08)


def test_centres_stand_where_they_should():
    np.testing.assert_allclose(np.linalg.norm(ring().spec.modes.centres, axis=1), 2, rtol=1e-6)
    assert sorted({float(place) for place in grid().spec.modes.centres.ravel()}) == [-4, -2, 0, 2, 4]
    places = grid(side=4, spacing=1.0, spread=0.02).spec.modes.centres.ravel()
    assert sorted({float(place) for place in places}) == [-1.5, -0.5, 0.5, 1.5]


def test_held_out_points_are_others_than_the_training_points_of_the_same_key():
    batches = [np.asarray(source.batch(KEY, None)["x"]) for source in ring(batch_size=500)]
    assert [x.shape for x in batches] == [(500, 2)] * 3
    assert len(np.unique(np.concatenate(batches), axis=0)) == 1500


@pytest.mark.parametrize(("held_out", "batch_size"), [(2000, 500), (1200, 500), (30, 30)])
def test_a_pass_over_held_out_points_has_the_given_size(held_out, batch_size):
    data = grid(held_out=held_out)
    assert [source.size for source in data] == [None, held_out, held_out]
    assert data.validation.batch_size == data.test.batch_size == batch_size


def test_rings_of_other_numbers_share_one_compile():
    traces = []

    @jax.jit
    def batch(source, key):
        traces.append(source)
        return source.batch(key, None)

    for data in (ring(), ring(), ring(radius=3.0, spread=0.1)):
        batch(data.train, KEY)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("make", "options"),
    [(ring, {"modes": 0}), (ring, {"radius": -1.0}), (grid, {"side": 0}), (grid, {"spacing": float("inf")})]
    + [(make, {name: 0}) for make in (ring, grid) for name in ("batch_size", "spread", "held_out")],
)
def test_bad_settings_are_refused(make, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"^{name}: {value} is not a finite number above 0"):
        make(**options)
