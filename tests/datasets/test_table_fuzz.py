"""Random files: each is read as what was written, or refused by a line that says why."""

import csv as csv_module
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.datasets.tables.cells import interpret
from runner.datasets.tables.table_file import read_table
from runner.errors import is_deliberate

FEW = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MANY = settings(FEW, max_examples=300)

NOTATIONS = {  # how a number is written -> the delimiters of tables in which that is not ambiguous
    "{:.3f}": ",;\t|",
    "{:.9e}": ",;\t|",
    "${:,.2f}": ",;\t|",
    "{:.1f}%": ",;\t|",
    "{:.2f} \u20ac": ",;\t|",
    "decimal comma": ";\t|",
}
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Nd", "Z")), min_size=2, max_size=8).filter(
    lambda word: word.strip() == word and not {*"%$\u20ac+-.,"} & {*word} and word.lower() not in UNSAFE
)
UNSAFE = {"na", "nan", "null", "none", "inf", "infinity", "n/a"}


def written(value, notation):
    if notation == "decimal comma":
        return f"{value:.2f}".replace(".", ",")
    return notation.format(value)


@st.composite
def tables(draw):
    """Draws a text, and the columns that it holds."""
    notation = draw(st.sampled_from([*NOTATIONS]))
    delimiter = draw(st.sampled_from(NOTATIONS[notation]))
    size = draw(st.integers(2, 12))
    column = lambda cells: draw(st.lists(cells, min_size=size, max_size=size))
    values = [value + 0.25 for value in column(st.integers(-(10**6), 10**6))]
    numbers = [written(value, notation) for value in values]
    texts, dates = column(WORDS), column(st.dates())
    stream = io.StringIO()
    writer = csv_module.writer(
        stream,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv_module.QUOTE_MINIMAL, csv_module.QUOTE_ALL])),
    )
    writer.writerows([["number", "text", "date"], *zip(numbers, texts, dates, strict=True)])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return stream.getvalue().encode(encoding), values, texts, dates, notation


def check_table(path, drawn):
    content, values, texts, dates, notation = drawn
    path.write_bytes(content)
    table = read_table(str(path))
    cells = interpret(table, table.header)
    assert cells.misfits == []
    scale = 100 if "%" in notation else 1
    np.testing.assert_allclose(
        cells.column("number") * scale, values, atol=0.06 if "%" in notation else 0.006
    )
    assert list(cells.texts["text"]) == texts
    days = (np.array(dates, "datetime64[D]") - np.datetime64("1970-01-01")).astype(float)
    np.testing.assert_array_equal(cells.column("date"), days)


def check_bytes(path, content):
    path.write_bytes(content)
    fault = None
    try:
        table = read_table(str(path))
        cells = interpret(table, table.header)
        lines = table.describe(cells.misfits[:3])
        assert len(table.rows) == cells.size
    except ValueError as error:
        fault, lines = error, [str(error)]
    assert fault is None or is_deliberate(fault), fault
    assert all("\n" not in line for line in lines)


PIECES = st.sampled_from(
    [",", ";", "\t", '"', '""', "\n", "\r", "\r\n", " ", "a", "1", "1.5", "-", "nan", "é", "\0", "x,y"]
)
RANDOM = st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()) | st.binary(max_size=60)


@FEW
@given(tables())
def test_random_tables_are_read_as_they_were_written(tmp_path, drawn):
    check_table(tmp_path / "table.csv", drawn)


@FEW
@given(RANDOM)
def test_random_bytes_are_read_or_refused(tmp_path, content):
    check_bytes(tmp_path / "table.csv", content)


@pytest.mark.slow
@MANY
@given(tables())
def test_many_random_tables_are_read_as_they_were_written(tmp_path, drawn):
    check_table(tmp_path / "table.csv", drawn)


@pytest.mark.slow
@MANY
@given(RANDOM)
def test_many_random_bytes_are_read_or_refused(tmp_path, content):
    check_bytes(tmp_path / "table.csv", content)


@pytest.mark.slow
@MANY
@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_damaged_parquet_is_read_or_refused(tmp_path, place, damage):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}).write_parquet(path)
    content = path.read_bytes()
    check_bytes(path, content[:place] + damage + content[place + len(damage) :])
