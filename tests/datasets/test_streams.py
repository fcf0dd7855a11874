import gc
import threading

import jax
import numpy as np
import pytest

from runner.core import Spec
from runner.datasets import Stream

KEY = jax.random.key(0)


def batch(number, size=2):
    return {"x": np.full((size, 3), number, np.float64), "y": np.arange(size) % 2}


def batches(count):
    return [batch(number) for number in range(count)]


def endless(start):
    while True:
        yield batch(start)
        start += 1


class Loader:
    """Can be gone through again and again, as torch's."""

    def __init__(self, count):
        self.count, self.begun = count, 0

    def __len__(self):
        return self.count

    def __iter__(self):
        self.begun += 1
        return iter(batches(self.count))


def numbers(stream, start, length):
    return stream.feed(KEY, start, length)["x"][:, 0, 0].tolist()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "stream"]


def assert_no_thread_is_left():
    if threads():
        gc.collect()
    for thread in threads():
        thread.join(10)
    assert not threads()


@pytest.fixture(autouse=True)
def _no_thread_outlives_a_test():
    yield
    assert_no_thread_is_left()


@pytest.mark.parametrize("ahead", [1, 3, 128])
@pytest.mark.parametrize(
    ("source", "period"),
    [
        (endless, 100),
        (batches(3), 3),
        (Loader(3), 3),
        ((batch(number) for number in range(20)), 100),
    ],
    ids=["function", "sequence", "loader", "generator"],
)
def test_batches_come_in_their_own_order(source, period, ahead):
    stream = Stream(iter(batches(20)) if period == 100 and not callable(source) else source, ahead=ahead)
    found = numbers(stream, 0, 2) + numbers(stream, 2, 5) + numbers(stream, 7, 1)
    assert found == [number % period for number in range(8)]


def test_a_feed_is_stacked_and_as_wide_as_jax_computes():
    stream = Stream(endless)
    feed = stream.feed(KEY, 0, 4)
    assert {name: (rows.shape, rows.dtype.name) for name, rows in feed.items()} == {
        "x": ((4, 2, 3), "float32"),
        "y": ((4, 2), "int32"),
    }
    assert stream.spec.features == Spec.of({name: rows[0] for name, rows in feed.items()}).features
    assert stream.batch_size == 2
    assert stream.batch(KEY, {"x": 1}) == {"x": 1}


def test_a_loader_may_fill_the_same_memory_again():
    def filled(start):
        x = np.zeros((2, 3))
        while True:
            x[:] = start
            yield {"x": x}
            start += 1

    stream = Stream(filled)
    first, second = stream.feed(KEY, 0, 3), stream.feed(KEY, 3, 3)
    assert first["x"][:, 0, 0].tolist() == [0, 1, 2]
    assert second["x"][:, 0, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize("source", [endless, batches(30)], ids=["function", "sequence"])
def test_a_function_and_a_sequence_start_anywhere(source):
    stream = Stream(source)
    assert stream.resumable
    assert numbers(stream, 7, 3) == [7, 8, 9]
    assert numbers(stream, 2, 2) == [2, 3]
    assert numbers(stream, 4, 1) == [4]


def test_a_loader_can_only_begin_again():
    stream = Stream(Loader(5))
    assert not stream.resumable
    assert numbers(stream, 0, 3) == numbers(stream, 0, 3) == [0, 1, 2]
    with pytest.raises(
        ValueError, match=r"^the stream cannot start at batch 7: give a sequence, or a function"
    ):
        stream.feed(KEY, 7, 1)


def test_a_loader_is_not_begun_for_its_first_batch_alone():
    loader = Loader(5)
    numbers(Stream(loader, ahead=1), 0, 3)
    assert loader.begun == 1


def test_a_generator_can_be_visited_once():
    stream = Stream(batch(number) for number in range(5))
    assert not stream.resumable
    assert numbers(stream, 0, 3) == [0, 1, 2]
    with pytest.raises(ValueError, match="cannot start at batch 0"):
        stream.feed(KEY, 0, 1)
    assert numbers(stream, 3, 2) == [3, 4]
    with pytest.raises(ValueError, match=r"^the stream of batches ended before batch 5"):
        stream.feed(KEY, 5, 1)


@pytest.mark.parametrize(
    ("source", "size"), [(batches(3), 6), (Loader(3), 6), (endless, None), (endless(0), None)]
)
def test_the_rows_of_a_pass_are_known_where_the_batches_are_counted(source, size):
    assert Stream(source).size == size


class BrokenError(Exception):
    pass


def test_an_error_of_the_user_arrives_in_its_place_and_leaves_the_stream_usable():
    repaired = False

    def breaks(start):
        for number in range(start, 10):
            if number == 4 and not repaired:
                raise BrokenError("at 4")
            yield batch(number)

    stream = Stream(breaks)
    assert numbers(stream, 0, 4) == [0, 1, 2, 3]
    for _ in range(2):
        with pytest.raises(BrokenError, match="at 4"):
            stream.feed(KEY, 4, 1)
    repaired = True
    assert numbers(stream, 4, 2) == [4, 5]


def test_a_thread_ends_when_its_stream_is_restarted_or_dropped():
    stream = Stream(endless, ahead=2)
    for start in (0, 10, 0, 20):
        stream.feed(KEY, start, 1)
    for thread in threads()[:-1]:
        thread.join(10)
    assert len(threads()) == 1
    del stream
    assert_no_thread_is_left()


def test_no_more_than_asked_is_fetched_ahead():
    reached, exceeded = threading.Event(), threading.Event()

    def counted(start):
        for number in range(start, 100):
            if number == 4:
                reached.set()
            if number == 5:
                exceeded.set()
            yield batch(number)

    stream = Stream(counted, ahead=4)
    numbers(stream, 0, 1)
    assert reached.wait(10)
    assert not exceeded.wait(0.1)


def test_one_thread_at_a_time_is_in_the_code_of_the_user():
    waits, leaves, enters = threading.Event(), threading.Event(), threading.Event()

    def watched(start):
        if start:
            enters.set()
        yield batch(start)
        if not start:
            waits.set()
            assert leaves.wait(10)
        yield batch(start + 1)

    stream = Stream(watched)
    numbers(stream, 0, 1)
    assert waits.wait(10)
    restart = threading.Thread(target=numbers, args=(stream, 5, 1))
    restart.start()
    assert not enters.wait(0.1)
    leaves.set()
    restart.join(10)
    assert enters.is_set()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the stream of batches is empty"),
        (iter([]), "the stream of batches is empty"),
        (lambda start: iter([]), "the stream of batches is empty"),
        ([batch(0), batch(1, size=1)], r"batch 1 of the stream has shapes {'x': \(1, 3\), .*; the first has"),
        ([batch(0), {"x": np.ones((2, 3))}], "batch 1 of the stream has shapes"),
        ([batch(0), batch(0) | {"x": np.ones((2, 3), int)}], "batch 1 of the stream, x: rows are int32"),
        ([(np.ones(2), np.ones(2))], "batch 0 of the stream is a tuple; need a mapping"),
        ([{}], "batch 0 of the stream, the data has no arrays"),
        ([batch(0), batch(np.nan)], "batch 1 of the stream, x: row 0, column 0 is NaN"),
        (
            [batch(0), batch(1) | {"y": np.array([0, 2])}],
            "batch 1 of the stream, y: row 1 is 2; classes are 0..1",
        ),
    ],
)
def test_a_batch_that_cannot_be_used_is_refused_by_its_number(source, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Stream(source).feed(KEY, 0, 2)


def test_a_batch_before_the_bad_one_is_still_given():
    stream = Stream([batch(0), batch(1, size=1)])
    assert numbers(stream, 0, 1) == [0]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^batch 1 of the stream has shapes"):
            stream.feed(KEY, 1, 1)


def test_a_given_spec_is_kept():
    spec = Spec.of({"x": np.ones((2, 3), np.float32), "y": np.array([0, 5], np.int32)})
    stream = Stream([batch(0) | {"y": np.array([0, 5])}], spec=spec)
    assert stream.spec is spec
    assert stream.feed(KEY, 0, 1)["y"].tolist() == [[0, 5]]


def test_nothing_ready_is_refused():
    with pytest.raises(ValueError, match=r"^ahead: 0 is less than 1"):
        Stream(endless, ahead=0)


def test_streams_of_one_form_share_one_compile():
    traces = []

    @jax.jit
    def first(source, item):
        traces.append(source.batch_size)
        return source.batch(KEY, item)["x"].sum()

    for _ in range(2):
        stream = Stream(endless)
        first(stream, jax.tree.map(lambda rows: rows[0], stream.feed(KEY, 0, 1)))
    assert traces == [2]
