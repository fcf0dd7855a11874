import jax
import jax.numpy as jnp
import numpy as np
import pytest

from runner.core import Spec
from runner.datasets import Arrays, FirstBatch, Sampler

KEY = jax.random.key(0)


def numbered(size, batch_size, **options):
    return Arrays({"x": np.arange(size, dtype=np.float32)[:, None]}, batch_size, **options)


def rows_of(source, key, start, length):
    feed = source.feed(key, start, length)
    return np.stack([source.batch(key, item)["x"][:, 0] for item in feed])


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10])
def test_an_epoch_visits_each_row_exactly_once(batch_size):
    rows = rows_of(numbered(10, batch_size), KEY, 0, 30).ravel()
    epochs = rows[: len(rows) // 10 * 10].reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(10), (len(epochs), 1)))
    assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_is_a_function_of_the_key_and_its_number(shuffle):
    whole = rows_of(numbered(10, 4, shuffle=shuffle), KEY, 0, 20)
    for start in range(20):
        np.testing.assert_array_equal(
            rows_of(numbered(10, 4, shuffle=shuffle), KEY, start, 20 - start), whole[start:]
        )


def test_other_keys_give_other_orders():
    # The words of a key are 64 bits; floats would hold only 53 of them.
    keys = [
        jax.random.wrap_key_data(np.uint32(words))
        for words in ([0, 1], [1, 0], [1, 1], [2**32 - 1] * 2, [2**32 - 1, 2**32 - 2])
    ]
    orders = {tuple(rows_of(numbered(50, 50), key, 0, 1)[0]) for key in keys}
    assert len(orders) == len(keys)


def test_held_out_rows_come_once_each_in_order_and_fill_up_the_last_batch():
    source = numbered(10, 4, shuffle=False)
    np.testing.assert_array_equal(rows_of(source, KEY, 0, 3), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]])


def test_no_batch_size_is_all_rows_in_order():
    source = numbered(5, None)
    assert source.batch_size == 5
    np.testing.assert_array_equal(rows_of(source, KEY, 3, 2), [range(5)] * 2)


def test_rows_are_copied_and_narrowed():
    x = np.ones((2, 1))
    source = Arrays({"x": x, "y": np.array([0, 1])}, 1)
    x[:] = 7
    assert source.arrays["x"].max() == 1
    assert {name: feature.dtype for name, feature in source.spec.features.items()} == {
        "x": "float32",
        "y": "int32",
    }
    assert source.spec.classes == 2


def draw(key, size, scale):
    return {"x": scale * jax.random.normal(key, (size,))}


@pytest.mark.parametrize(
    "make",
    [
        lambda: numbered(10, 4),
        lambda: Sampler(draw, (np.float32(2),), 4, spec=Spec({})),
        lambda: FirstBatch(numbered(10, 4)),
    ],
    ids=["arrays", "sampler", "first_batch"],
)
def test_equal_sources_share_one_compile(make):
    traces = []

    @jax.jit
    def batch(source, key, item):
        traces.append(source)
        return source.batch(key, item)

    for source in (make(), make()):
        item = jax.tree.map(lambda rows: rows[0], source.feed(KEY, 0, 1))
        found, known = batch(source, KEY, item), source.batch(KEY, item)
        np.testing.assert_allclose(found["x"], known["x"], rtol=1e-6)
    assert len(traces) == 1


def test_a_sampler_feeds_nothing_and_draws_by_key():
    source = Sampler(draw, (np.float32(2),), 4, spec=Spec({}))
    assert source.feed(KEY, 0, 8) is None
    assert source.batch(KEY, None)["x"].shape == (4,)
    assert not np.array_equal(source.batch(KEY, None)["x"], source.batch(jax.random.key(1), None)["x"])


def test_the_first_batch_comes_again_and_again():
    inner = numbered(10, 4)
    source = FirstBatch(inner)
    items = source.feed(KEY, 5, 3)
    first = inner.batch(KEY, inner.feed(KEY, 0, 1)[0])["x"]
    for place in range(3):
        item = jax.tree.map(lambda rows, place=place: rows[place], items)
        np.testing.assert_array_equal(source.batch(jax.random.key(place), item)["x"], first)


def ones(*shape, **places):
    array = np.ones(shape)
    for index, value in places.items():
        array[tuple(map(int, index.strip("_").split("_")))] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "the data has no arrays"),
        ({"x": ones(0, 2)}, "x: no rows"),
        ({"x": ones(3, 2), "y": ones(2)}, "y: 2 rows; x has 3"),
        ({"x": np.float32(1)}, "x: a single number; need rows"),
        (
            {"x": ones(2, 3, _1_2=np.nan)},
            r"x: row 1, column 2 is NaN \(1 of 6 values not finite in float32\)",
        ),
        ({"x": ones(2, 3, _0_0=-np.inf, _1_1=np.nan)}, r"x: row 0, column 0 is -inf \(2 of 6 values"),
        ({"x": ones(3, _2=1e39)}, r"x: row 2 is 1e\+39 \(1 of 3 values not finite in float32\)"),
        ({"x": np.float16([[1], [np.inf]])}, "x: row 1, column 0 is inf .* in float16"),
        ({"x": ones(2, 2, 2, _1_0_1=np.nan)}, r"x: row 1 at \(0, 1\) is NaN"),
        ({"x": np.array([[None]])}, "x: dtype object; need floats or whole numbers"),
        ({"x": np.array([["a"]])}, "x: dtype <U1; need floats"),
        ({"x": np.array([[1j]])}, "x: dtype complex128; need floats"),
        ({"x": np.array([["2020-01-01"]], "datetime64[D]")}, r"x: dtype datetime64\[D\]; need floats"),
        ({"y": np.array([0, 2**40])}, r"y: row 1 is 1099511627776 \(1 of 2 values too large in int32\)"),
        ({"y": np.array([0, -1])}, "y: row 1 is -1; classes are numbered from 0"),
        ({"x": ones(5, 1)}, "batch_size: 6 rows a batch, of 5 rows; need 1 to 5"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(arrays, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Arrays(arrays, 6 if message.startswith("batch_size") else 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": ones(2, 4), "y": [0, 1]},
            r"x: rows are float32 of shape \(4,\); the spec says float32 of shape \(3,\)",
        ),
        ({"x": np.ones((2, 3), int), "y": [0, 1]}, "x: rows are int32 of shape .*; the spec says float32"),
        ({"x": ones(2, 3), "y": [0, 3]}, "y: row 1 is 3; classes are 0..2"),
    ],
)
def test_rows_unlike_the_spec_are_refused(arrays, message):
    spec = Spec.of({"x": jnp.ones((2, 3)), "y": jnp.array([0, 2])})
    with pytest.raises(ValueError, match=f"^{message}"):
        Arrays(arrays, 1, spec=spec)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_refused(batch_size):
    for make in (lambda: numbered(5, batch_size), lambda: Sampler(draw, (), batch_size, spec=Spec({}))):
        with pytest.raises(ValueError, match=f"^batch_size: {batch_size}"):
            make()
