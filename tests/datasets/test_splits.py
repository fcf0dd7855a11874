import numpy as np
import pytest

from runner.datasets.splits import assemble, cut, cut_by_class, cut_by_group, cut_by_time, split

ARRAYS = {"x": np.arange(20.0)[:, None], "y": np.arange(20) % 4}


def rows_of(source):
    return source.arrays["x"][:, 0].astype(int).tolist()


def made(batch_size=4, split_seed=0, validation=0.2, test=0.3, **known):
    return split(ARRAYS, batch_size, split_seed, validation, test, **known)


def test_a_split_is_complete_and_disjoint():
    parts = [rows_of(source) for source in made()]
    assert list(map(len, parts)) == [10, 4, 6]
    assert sorted(row for part in parts for row in part) == list(range(20))


def test_a_split_depends_on_its_seed_only():
    first, again, other = (
        list(map(rows_of, made(**options))) for options in ({}, {"batch_size": None}, {"split_seed": 1})
    )
    assert first == again != other


def test_the_test_rows_do_not_depend_on_the_share_for_validation():
    assert rows_of(made().test) == rows_of(made(validation=0.4).test)


def test_the_training_rows_describe_the_held_out_ones():
    data = made(classes=4, labels="abcd")
    train = np.array(rows_of(data.train))
    np.testing.assert_allclose(data.spec.mean["x"], [train.mean()], rtol=1e-6)
    np.testing.assert_allclose(data.spec.std["x"], [train.std()], rtol=1e-6)
    assert data.validation.spec is data.test.spec is data.spec
    assert data.spec.labels == ("a", "b", "c", "d")
    assert not data.validation.shuffle
    assert data.train.shuffle


def test_held_out_batches_are_of_at_most_256_rows():
    x = {"x": np.ones((300, 1))}
    data = assemble(x, x, {"x": np.ones((3, 1))}, 1)
    assert (data.validation.batch_size, data.test.batch_size) == (256, 3)


def test_each_share_gets_a_row():
    assert [len(rows) for rows in cut(3, 0, test=0.01, validation=0.01)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_seed": -1}, "split_seed: -1 is less than 0"),
        ({"validation": 0.0}, "validation: 0.0 is not a fraction of the rows, above 0 and below 1"),
        ({"test": 1.0}, "test: 1.0 is not a fraction"),
        ({"test": float("nan")}, "test: nan is not a fraction"),
        (
            {"test": 0.5, "validation": 0.5},
            "test: test 0.5 and validation 0.5 of 20 rows leave none to train on",
        ),
        ({"batch_size": 11}, "batch_size: 11 rows a batch, of 10 rows"),
    ],
)
def test_a_split_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        made(**options)


def test_a_bad_value_is_named_by_its_row_before_the_split():
    x = np.zeros((20, 1))
    x[13] = np.nan
    with pytest.raises(ValueError, match=r"^x: row 13, column 0 is NaN"):
        split({"x": x}, 4, 0, 0.2, 0.2)


def test_classes_have_the_same_share_in_each_part():
    y = np.repeat([0, 1, 2], [60, 30, 10])
    test, validation, train = cut_by_class(y, 0, test=0.2, validation=0.1)
    assert [np.bincount(y[part]).tolist() for part in (test, validation, train)] == [
        [12, 6, 2],
        [6, 3, 1],
        [42, 21, 7],
    ]
    assert sorted(np.concatenate([test, validation, train])) == list(range(100))
    other = cut_by_class(y, 1, test=0.2, validation=0.1)[0]
    assert other.tolist() != test.tolist()


def test_each_class_is_trained_on_and_held_out_if_it_has_rows():
    y = np.repeat([0, 1, 2, 3], [40, 1, 2, 3])
    parts = cut_by_class(y, 0, test=0.1, validation=0.1)
    assert [np.bincount(y[part], minlength=4)[1:].tolist() for part in parts] == [
        [0, 1, 1],
        [0, 0, 1],
        [1, 1, 1],
    ]


def test_groups_stay_together():
    groups = np.arange(60) // 3 % 10
    parts = cut_by_group(groups, 0, test=0.2, validation=0.2)
    assert [len({*groups[part]}) for part in parts] == [2, 2, 6]
    assert sorted(np.concatenate(parts)) == list(range(60))


def test_the_latest_rows_come_last_and_equal_times_stay_together():
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 4))
    parts = cut_by_time(times, 0, test=0.2, validation=0.15)
    assert [sorted({*times[part].tolist()}) for part in parts] == [[8, 9], [7], list(range(7))]
    assert sorted(np.concatenate(parts)) == list(range(40))


@pytest.mark.parametrize(
    ("cut", "rows", "message"),
    [
        (cut_by_class, np.arange(20), "stratify: no class has a row for test; say stratify=false"),
        (cut_by_group, np.arange(20) % 2, "group: 2 groups are too few; none remains to train on"),
        (cut_by_time, np.arange(20) % 2, "time: 2 different times are too few; none remains to train on"),
        (cut_by_time, np.zeros(20), "time: 1 different times are too few"),
        (cut_by_class, np.zeros(1), "test: test 0.2 and validation 0.2 of 1 rows leave none"),
    ],
)
def test_parts_that_cannot_be_are_refused(cut, rows, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        cut(rows, 0, test=0.2, validation=0.2)
