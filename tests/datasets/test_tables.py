import os
import re

import numpy as np
import pytest

from runner.core import Column, Spec
from runner.datasets import csv, read_rows

COLOURS = ["red", "green", "blue"]


@pytest.fixture
def write(tmp_path):
    def write(content, name="my.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def flowers(size=30, delimiter=",", newline="\n"):
    lines = ["length, colour ,kind"] + [
        f"{number}.5,{COLOURS[number % 3]},{'rose' if number % 2 else 'aster'}" for number in range(size)
    ]
    return newline.join(lines).replace(",", delimiter) + newline


def whole(source):
    return {name: np.asarray(rows) for name, rows in source.arrays.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_texts_become_categories_and_classes(write, delimiter, newline, mark):
    data = csv(write(mark + flowers(delimiter=delimiter, newline=newline)), "kind", batch_size=8)
    assert data.spec.columns == (Column("length"), Column("colour", ("blue", "green", "red")))
    assert (data.spec.labels, data.spec.classes, data.spec.target) == (("aster", "rose"), 2, "kind")
    rows = [whole(source) for source in data]
    x, y = (np.concatenate([part[name] for part in rows]) for name in "xy")
    order = np.argsort(x[:, 0])
    np.testing.assert_array_equal(x[order, 0], np.arange(30) + 0.5)
    np.testing.assert_array_equal(x[order, 1:], np.eye(3)[(2 - np.arange(30)) % 3])
    np.testing.assert_array_equal(y[order], np.arange(30) % 2)


def test_another_table_is_read_by_the_names_of_its_columns(write):
    spec = csv(write(flowers()), "kind", batch_size=8).spec
    other = write('colour,note,length\nred,"a, b",1\n blue ,,2.5\n', "other.csv")
    inputs = read_rows(other, spec)
    np.testing.assert_array_equal(inputs.x, np.float32([[1, 0, 0, 1], [2.5, 1, 0, 0]]))
    assert inputs.x.dtype == np.float32
    assert inputs.table.columns == ["colour", "note", "length"]
    assert inputs.table.rows() == [("red", "a, b", "1"), ("blue", "", "2.5")]


def test_a_spec_reads_the_same_from_its_record(write):
    path = write(flowers())
    spec = csv(path, "kind", batch_size=8).spec
    again = Spec.from_json(spec.to_json())
    np.testing.assert_array_equal(read_rows(path, spec).x, read_rows(path, again).x)


@pytest.mark.parametrize(
    ("cells", "task", "labels"),
    [
        (["10", "9", "-1"], None, ("-1", "9", "10")),
        (["2.0", "1", "1e0"], None, ("1", "2")),
        ([str(number) for number in range(32)], None, tuple(map(str, range(32)))),
        ([str(number) for number in range(33)], None, ()),
        ([str(number) for number in range(33)], "classification", tuple(map(str, range(33)))),
        (["1", "2"], "regression", ()),
        (["1.5", "2"], None, ()),
        (["b", "a"], "classification", ("a", "b")),
    ],
)
def test_the_task_is_derived_from_the_target(write, cells, task, labels):
    cells = (cells * 40)[:80]
    path = write("x,y\n" + "".join(f"{place},{cell}\n" for place, cell in enumerate(cells)))
    data = csv(path, "y", task, batch_size=8)
    assert data.spec.labels == labels
    assert data.spec.classes == (len(labels) or None)
    for source in data:
        arrays = whole(source)
        x, y = arrays["x"][:, 0].astype(int), arrays["y"]
        found = [labels[label] for label in y] if labels else y[:, 0].tolist()
        expected = [cells[row] for row in x]
        assert (
            list(map(float, found)) == list(map(float, expected))
            if labels != ("a", "b")
            else found == expected
        )


BODY = "".join(f"{number},{number % 2}\n" for number in range(9))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "path: {path} is empty"),
        ("\n\n", "path: {path} is empty"),
        ("x,y\n", "path: {path} has a header and no rows"),
        ("x,x,y\n1,2,3\n", "path: the header of {path} names 'x' twice"),
        (",x,y\n0,1,2\n", "path: column 1 in the header of {path} has no name; name it or remove it"),
        ("x,y\n1,2\n1,2,3\n", "path: line 3 of {path} has 3 cells; the header has 2"),
        ("x,y\n\n1,2\n1\n", "path: line 4 of {path} has 1 cells; the header has 2"),
        ("x:y\n1:2\n", "path: {path} has one column, 'x:y'; commas, semicolons, tabs or | part columns"),
        ('x,y\n"1,2\n', "path: line 2 of {path}: unexpected end of data"),
        (b"x,y\n\x81,2\n", "path: {path} is not UTF-8 text (byte 4); save it as UTF-8"),
        ("x,y\n1,2\n".encode("utf-16")[:-1], "path: {path} is not UTF-16 text (byte 16)"),
        ("x,z\n1,2\n", "target: {path} has no column 'y'; it has x, z"),
        ("x,y\n1,0\na,1\n", "x: line 3 of {path} is 'a'; need a finite number, as in other rows"),
        ('z,x,y\n"a\nb",1,0\nc,,1\n', "x: line 4 of {path} is empty; need a finite number"),
        ("x,y\n1,0\nnan,1\n", "x: line 3 of {path} is 'nan'; need a finite number"),
        ("x,y\n-inf,0\n1,1\n", "x: line 2 of {path} is '-inf'; need a finite number"),
        ("x,y\n1e39,0\n1,1\n", "x: line 2 of {path} is '1e39'; need a finite number"),
        ("x,y\n1_0,0\n1,1\n", "x: line 2 of {path} is '1_0'; need a finite number"),
        ("x,y\na,0\n,1\n", "x: line 3 of {path} is empty; fill it or remove the row"),
        ("x,y\n1,a\n2,\n", "y: line 3 of {path} is empty; fill it or remove the row"),
        ("x,y\n1,a\n2,3\n", "y: line 2 of {path} is 'a'; need a finite number"),
        ("x,y\n1,a\n2,a\n", "y: every row of {path} is 'a'; classification needs two classes"),
        ("x,y\n1,4\n2,4\n", "y: every row of {path} is '4'; classification needs two classes"),
        (
            "x,y\n" + "".join(f"a{n},{n % 2}\n" for n in range(101)),
            "x: 101 different texts in {path}; a text feature",
        ),
        ("x,y\n" + BODY, "batch_size: 64 rows a batch, of 7 rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(write, content, message):
    path = write(content)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        csv(path, "y")
    assert str(found.value).startswith(message.replace("{path}", path))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("content", "task", "message"),
    [
        ("x,y\n1,a\n2,b\n", "regression", "task: regression needs numbers; the column y of .* is text"),
        ("x,y\n1,1\n2,2.5\n", "classification", "task: classes are texts or whole numbers; y holds 2.5"),
        ("x,y\n1,1\n2,2\n", "ranking", "task: 'ranking' is none of classification, regression"),
    ],
)
def test_a_task_that_the_target_does_not_fit_is_refused(write, content, task, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        csv(write(content), "y", task)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^path: cannot read .*none.csv: No such file"):
        csv(str(tmp_path / "none.csv"), "y")
    with pytest.raises(ValueError, match=r"^path: .* is not a regular file"):
        csv(str(tmp_path), "y")


@pytest.mark.parametrize("path", ["pipe", "/dev/zero"])
def test_what_may_never_end_is_refused(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match=f"^path: {path}: is not a regular file"):
        csv(path, "y")


def test_a_file_of_more_than_all_memory_is_refused(tmp_path):
    with (tmp_path / "sparse.csv").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(ValueError, match=r"^path: .*sparse.csv: is longer than \d+ bytes"):
        csv(str(tmp_path / "sparse.csv"), "y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("length,colour\n1,red\n2,pink\n", "colour: line 3 of .* is 'pink'; known are blue, green, red"),
        ("length,colour\n1,red\nlong,red\n", "length: line 3 of .* is 'long'; need a finite number"),
        ("length,colour\nlong,red\n", "length: line 2 of .* is 'long'; need a finite number"),
        ("length,colour\n,red\n", "length: line 2 of .* is empty"),
    ],
)
def test_rows_unlike_the_first_table_are_left_out_and_named(write, content, message):
    spec = csv(write(flowers()), "kind", batch_size=8).spec
    inputs = read_rows(write(content, "other.csv"), spec)
    assert len(inputs.rows) + len(inputs.problems) == inputs.size == content.count("\n") - 1
    assert re.match(message, inputs.problems[0])


def test_a_table_that_lacks_a_column_is_refused(write):
    spec = csv(write(flowers()), "kind", batch_size=8).spec
    with pytest.raises(ValueError, match=r"^colour: .* has no such column; it has length, note"):
        read_rows(write("length,note\n1,2\n", "other.csv"), spec)


def test_a_table_is_not_read_for_data_without_columns(write):
    with pytest.raises(ValueError, match=r"^path: this data has no named columns"):
        read_rows(write(flowers()), Spec({}))
