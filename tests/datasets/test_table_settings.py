"""What the settings of a table make of its columns and rows."""

import numpy as np
import pytest

from runner.core import Column, Spec
from runner.datasets import csv, read_rows
from runner.datasets.checks import report, tell
from runner.errors import InvalidData

NEW = {"rules": 2, "stratify": True, "unseen": "replace", "batch_size": 8}


@pytest.fixture
def read(tmp_path):
    """Reads a table of some columns, each a list of cells."""

    def read(target="y", **settings):
        columns = {name: settings.pop(name) for name in [*settings] if isinstance(settings[name], Cells)}
        path = tmp_path / "my.csv"
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines) + "\n")
        return csv(str(path), target, **(NEW | settings))

    report.cache_clear()
    return read


class Cells(list):
    """The cells of a column."""


def numbers(size=40):
    return Cells(f"{number}.5" for number in range(size))


def classes(size=40):
    return Cells("ab"[number % 2] for number in range(size))


def arrays(source):
    return {name: np.asarray(rows) for name, rows in source.arrays.items()}


def features(data):
    """Returns the features of all rows, in the order of the first feature."""
    x = np.concatenate([arrays(source)["x"] for source in data])
    return x[np.argsort(x[:, 0], kind="stable")]


@pytest.mark.parametrize(("missing", "find"), [("mean", np.mean), ("median", np.median)])
def test_missing_numbers_become_a_statistic_of_the_training_rows(read, missing, find):
    x = Cells(f"{number**2}.5" if number % 4 else "NA" for number in range(40))
    data = read(n=numbers(), x=x, y=classes(), missing=missing)
    train = arrays(data.train)["x"]
    known = (train[:, 0] - 0.5) % 4 != 0
    fill = find(train[known, 1].astype(np.float64))
    column = data.spec.columns[1]
    assert column.fill == pytest.approx(fill)
    everything = features(data)
    np.testing.assert_allclose(everything[::4, 1], np.float32(column.fill))
    np.testing.assert_array_equal(everything[1::4, 1], np.arange(1, 40, 4) ** 2 + 0.5)


def test_an_indicator_says_which_numbers_are_missing(read):
    x = Cells("" if number % 4 == 0 else "1.5" if number % 2 else "2.5" for number in range(40))
    data = read(n=numbers(), x=x, y=classes(), missing="mean", indicator=True)
    assert [column.indicator for column in data.spec.columns] == [False, True]
    np.testing.assert_array_equal(features(data)[:, 2], np.arange(40) % 4 == 0)


def test_rows_with_missing_cells_are_dropped(read, caplog):
    x = Cells("" if number < 10 else "1" for number in range(40))
    data = read(n=numbers(), x=x, y=classes(), missing="drop_rows")
    np.testing.assert_array_equal(features(data)[:, 0], np.arange(10, 40) + 0.5)
    assert "note: 10 of 40 rows lack a value, by missing=drop_rows, and are left out" in caplog.messages


def test_rows_without_a_target_are_left_out_if_missing_cells_are_allowed(read, caplog):
    y = Cells(["", "nan", *classes(38)])
    assert len(features(read(n=numbers(), y=y, missing="mean"))) == 38
    assert "note: 2 of 40 rows have no y, which is the target, and are left out" in caplog.messages
    with pytest.raises(ValueError, match=r"^y: line 2 of .* is empty; fill it or remove the row"):
        read(n=numbers(), y=y)


def test_missing_texts_become_a_category(read):
    colour = Cells(["red", "", "blue", "NA"] * 10)
    data = read(n=numbers(), colour=colour, y=classes(), missing="mean")
    assert data.spec.columns[1] == Column(
        "colour", ("blue", "red", "missing"), fill="missing", unseen="missing"
    )
    np.testing.assert_array_equal(features(data)[:4, 1:], [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1]])


def test_a_text_that_no_training_row_has_becomes_the_most_frequent_one(read, caplog):
    colour = Cells(["red", "red", "blue"] * 20)
    data = read(n=numbers(60), colour=colour, y=classes(60))
    held_out = int(arrays(data.test)["x"][0, 0])
    colour[held_out] = "pink"
    data = read(n=numbers(60), colour=colour, y=classes(60))
    assert data.spec.columns[1] == Column("colour", ("blue", "red"), unseen="red")
    np.testing.assert_array_equal(features(data)[held_out, 1:], [0, 1])
    need = "colour: 1 held-out rows have a text that no training row has, such as 'pink'"
    assert f"note: {need}; it counts as 'red'" in caplog.messages
    with pytest.raises(ValueError, match=f"^{need}; say unseen=replace"):
        read(n=numbers(60), colour=colour, y=classes(60), unseen="refuse")


def test_columns_are_chosen_and_dropped(read):
    some = {"id": Cells(range(40)), "n": numbers(), "m": Cells(range(40)), "y": classes()}
    assert [column.name for column in read(**some, drop=["id"]).spec.columns] == ["n", "m"]
    assert [column.name for column in read(**some, columns=["m", "n"]).spec.columns] == ["n", "m"]


def test_numbers_are_categories_where_that_is_said(read):
    data = read(n=numbers(), month=Cells([1, 2, 10, "3.0"] * 10), y=classes(), categories=["month"])
    assert data.spec.columns[1].categories == ("1", "10", "2", "3")
    data = read(n=numbers(), y=Cells(["7", "7.0", "5"] * 13 + ["5"]), categories=["y"])
    assert data.spec.labels == ("5", "7")


def test_several_targets_are_numbers(read):
    data = read(["a", "b"], n=numbers(), a=numbers(), b=Cells([1, 2] * 20))
    assert data.spec.target is None
    assert [column.name for column in data.spec.targets] == ["a", "b"]
    assert data.spec.shape("y") == (2,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drop": ["z"]}, "drop: .* has no column 'z'; it has n, m, y"),
        ({"columns": ["n", "y"]}, "columns: y is a target or dropped"),
        ({"drop": ["y"]}, "drop: y is a target"),
        ({"drop": ["n", "m"]}, "drop: no column of .* remains as a feature"),
        ({"categories": ["z"]}, "categories: .* has no column 'z'"),
        ({"missing": "zero"}, "missing: 'zero' is none of refuse, mean, median, drop_rows"),
        ({"group": "m", "time": "n"}, "group: rows are held out by group or by time"),
        ({"time": "y"}, "time: y holds texts; need numbers or dates"),
        ({"weights": "y"}, "weights: y is no column of numbers from 0 up"),
        ({"target": []}, "target: name one column, or several different ones"),
        ({"target": ["n", "y"]}, "task: regression needs numbers; the column y of .* is text"),
    ],
)
def test_settings_that_cannot_be_are_refused(read, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        read(n=numbers(), m=Cells([1, 2] * 20), y=classes(), **settings)


def test_all_problems_of_a_file_are_reported_at_once(read):
    a, b, y = numbers(), Cells(["red", "", "blue", "red"] * 10), classes()
    a[3], y[5] = "many", ""
    with pytest.raises(InvalidData) as found:
        read(n=numbers(), a=a, b=b, y=y)
    first, *lines = str(found.value).split("\n  ")
    assert first.startswith("path: ")
    assert first.endswith("has 3 columns that cannot be used:")
    assert [line.split(" of ")[0] for line in lines] == ["a: line 5", "b: line 3", "y: line 7"]


def test_weights_groups_and_times_are_no_features_unless_they_are_named(read):
    some = {"n": numbers(), "w": Cells([1, 2] * 20), "g": Cells("abcde" * 8), "y": classes()}
    data = read(**some, weights="w", group="g")
    assert [column.name for column in data.spec.columns] == ["n"]
    train = arrays(data.train)
    np.testing.assert_array_equal(train["weights"], 1 + (train["x"][:, 0] - 0.5) % 2)
    data = read(**some, weights="w", columns=["n", "w"])
    assert [column.name for column in data.spec.columns] == ["n", "w"]


def test_rows_of_a_group_stay_in_one_part(read):
    group = Cells(f"g{number % 10}" for number in range(40))
    parts = [
        {int(row) % 10 for row in arrays(source)["x"][:, 0]}
        for source in read(n=numbers(), g=group, y=classes(), group="g")
    ]
    assert all(parts)
    assert sum(map(len, parts)) == 10


def test_the_latest_rows_are_held_out(read):
    days = Cells(f"2024-{1 + number % 12:02}-01" for number in range(48))
    data = read(n=numbers(48), day=days, y=classes(48), time="day")
    months = [{int(row) % 12 for row in arrays(source)["x"][:, 0]} for source in data]
    assert months == [set(range(9)), {9}, {10, 11}] or max(months[0]) < min(months[1]) <= max(
        months[1]
    ) < min(months[2])


def test_equal_rows_are_reported_or_left_out(read, caplog):
    n = Cells(number % 5 for number in range(40))
    read(n=n, y=Cells("ab"[number % 5 % 2] for number in range(40)))
    assert any("test rows are equal to training rows; deduplicate=true" in line for line in caplog.messages)
    report.cache_clear()
    caplog.clear()
    data = read(n=n, y=Cells("ab"[number % 5 % 2] for number in range(40)), deduplicate=True, batch_size=1)
    np.testing.assert_array_equal(features(data)[:, 0], range(5))
    assert "note: 35 rows repeat earlier ones, and are left out by deduplicate" in caplog.messages


def test_a_part_without_a_class_is_reported(read, caplog):
    y = Cells(["fraud", *["fine"] * 39])
    read(n=numbers(), y=y)
    assert "warning: the test rows have none of 1 classes: fraud" in caplog.messages
    assert "warning: the validation rows have none of 1 classes: fraud" in caplog.messages


def test_two_rows_of_a_class_are_split(read):
    y = Cells(["fraud", "fraud", *["fine"] * 198])
    data = read(n=numbers(200), y=y)
    assert [int((arrays(source)["y"] == 1).sum()) for source in data] == [1, 0, 1]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,5", "1,25"], [0.5, 1.25]),
        (["1.234,5", "2"], [1234.5, 2]),
        (["1,234", "5,678,901"], [1234, 5678901]),
        (["$12", "-$1,300.5"], [12, -1300.5]),
        (["12 €", "€ 5"], [12, 5]),
        (["12%", "5.5 %"], [0.12, 0.055]),
        (["\u22123", "4"], [-3, 4]),
        (["1 234", "2\u202f345"], [1234, 2345]),
        (["2024-01-31", "31/12/2024 12:00"], None),
        (["2024-01-31", "2024-02-01 12:00"], [19753, 19754.5]),
        (["31.01.2024", "1.2.2024"], [19753, 19754]),
        (["01/31/2024", "02/01/2024"], [19753, 19754]),
    ],
)
def test_numbers_and_dates_are_read_in_their_notation(read, cells, expected):
    quoted = Cells(f'"{cell}"' for cell in cells * 20)
    if expected is None:
        with pytest.raises(
            ValueError, match=r"^x: line 3 of .* is '31/12/2024 12:00'; need a date, as in other rows"
        ):
            read(n=numbers(), x=quoted, y=classes())
        return
    data = read(n=numbers(), x=quoted, y=classes())
    np.testing.assert_allclose(features(data)[:2, 1] + data.spec.columns[1].offset, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["$12", "13"], "is '13'; need a number such as '.12' in other rows"),
        (["$12", "\u20ac13"], "is '\u20ac13'; need a number such as '.12' in other rows"),
        (["12%", "all"], "is 'all'; need a number such as '12%' in other rows"),
        (
            ["1.5", "1,5,5"],
            "is '1,5,5'; need a finite number, as in other rows; if these are categories, name",
        ),
        (["01/02/2024", "03/04/2024"], "may begin with the day or with the month"),
    ],
)
def test_cells_of_other_notations_are_refused_with_an_example_and_the_line(read, cells, message):
    cells = [cells[0]] * 2 + [cells[1]]
    with pytest.raises(ValueError, match=f"^x: line [24] of .*{message}"):
        read(n=numbers(3), x=Cells(f'"{cell}"' for cell in cells), y=classes(3))


def test_large_offsets_are_subtracted_before_the_rounding(read):
    times = Cells(1_600_000_000 + 7 * number for number in range(40))
    data = read("t", n=numbers(), u=times, t=times, task="regression")
    x, y = (np.concatenate([arrays(source)[name] for source in data]) for name in "xy")
    order = np.argsort(x[:, 0])
    column, target = data.spec.columns[1], data.spec.targets[0]
    assert column.offset == pytest.approx(1.6e9, rel=1e-3)
    np.testing.assert_array_equal(np.round(x[order, 1] + np.float64(column.offset), 3), times)
    restored = data.spec.with_offsets(y[order])
    assert restored.dtype == np.float64
    np.testing.assert_allclose(restored[:, 0], np.float64(times), rtol=1e-12)
    assert target.name == "t"


def test_a_schema_reads_other_files_as_the_training_file(read, tmp_path):
    x = Cells(f"{number}.5" if number % 4 else "" for number in range(40))
    colour = Cells(["red", "red", "blue", "red"] * 10)
    day = Cells(f"2024-01-{number % 28 + 1:02}" for number in range(40))
    data = read(x=x, colour=colour, day=day, y=classes(), missing="mean")
    spec = Spec.from_json(data.spec.to_json())
    assert spec.columns == data.spec.columns
    other = tmp_path / "other.csv"
    other.write_text("day;more;colour;x\n02.01.2024;1;pink;1,5\n13.01.2024;2;blue;\n")
    rows = read_rows(other, spec).x
    columns = {column.name: column for column in spec.columns}
    day = columns["day"].offset
    expected = [[1.5, 0, 1, 19724 - day], [columns["x"].fill, 1, 0, 19735 - day]]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_a_summary_describes_each_column(read, caplog):
    caplog.set_level("INFO", "runner")
    day = Cells(["2024-01-31", "2024-03-01"] * 20)
    colour = Cells(["red", "red", "blue", ""] * 10)
    tell.cache_clear()
    read(
        id=Cells(range(100, 140)),
        n=Cells(["1.5", "NA", "2", "2"] * 10),
        day=day,
        colour=colour,
        y=classes(),
        missing="mean",
    )
    summary = caplog.messages[-1].split("\n")
    assert summary[0].endswith("my.csv: 40 rows, 4 columns of features")
    assert summary[1:] == [
        "  target y: 2 classes: a (20), b (20)",
        "  id: numbers from 100 to 139, all different: if they identify rows, name the column in drop",
        "  n: numbers from 1.5 to 2, 25 % missing",
        "  day: dates from 2024-01-31 to 2024-03-01",
        "  colour: 2 categories: red (20), blue (10), 25 % missing",
    ]
