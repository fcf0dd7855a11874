"""The files that tables are read from: how they are written, and what is refused."""

import bz2
import gzip
import lzma

import numpy as np
import polars as pl
import pytest

from runner.datasets import csv, parquet
from runner.datasets.checks import report

SETTINGS = {"batch_size": 1, "validation": 0.2, "test": 0.2}
TEXT = "größe,farbe,y\n" + "".join(f'{n}.5,"{"rot" if n % 2 else "grün, hell"}",{n % 3}\n' for n in range(12))


@pytest.fixture
def write(tmp_path):
    def write(content, name="my.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def same(one, other):
    """Checks that two datasets are equal."""
    assert one.spec.to_json() == other.spec.to_json()
    for a, b in zip(one, other, strict=True):
        for name, rows in a.arrays.items():
            np.testing.assert_array_equal(rows, b.arrays[name])


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        b"\n\n" + TEXT.replace("\n", "\n\n").encode(),
        b"sep=,\n" + TEXT.encode(),
        b"sep=;\r\n" + TEXT.replace(",", ";").replace("; hell", ", hell").replace("\n", "\r\n").encode(),
        TEXT.replace(",", ", ").replace(",  hell", ", hell").encode(),
        gzip.compress(TEXT.encode()),
        bz2.compress(TEXT.encode()),
        lzma.compress(TEXT.encode()),
    ],
    ids=["mark", "utf-16", "utf-32", "cr", "crlf", "blank", "sep", "sep;", "blanks", "gzip", "bzip2", "xz"],
)
def test_a_table_is_read_however_its_file_is_written(write, content):
    same(
        csv(write(content), "y", rules=2, **SETTINGS), csv(write(TEXT, "plain.csv"), "y", rules=2, **SETTINGS)
    )


def test_text_that_is_not_utf_8_is_read_as_cp1252_and_reported(write, caplog):
    report.cache_clear()
    path = write(TEXT.encode("cp1252"))
    plain = csv(write(TEXT, "plain.csv"), "y", **SETTINGS)
    same(csv(path, "y", **SETTINGS), plain)
    assert caplog.messages == [
        f"note: {path} is not UTF-8 and is read as cp1252; if that is wrong, say encoding="
    ]
    same(csv(write(TEXT.encode("cp850")), "y", encoding="cp850", **SETTINGS), plain)


def test_delimiters_in_a_quoted_header_do_not_count(write):
    path = write('"a, b, c, d";"e, f";y\n' + "".join(f"{n};{n},5;{n % 2}\n" for n in range(12)))
    assert [column.name for column in csv(path, "y", rules=2, **SETTINGS).spec.columns] == [
        "a, b, c, d",
        "e, f",
    ]


def test_thousands_and_decimal_commas_are_told_apart_by_other_numbers(write):
    rows = "".join(f"{n},5;1.{n + 100};{n % 2}\n" for n in range(12))
    data = csv(write("a;b;y\n" + rows), "y", rules=2, **SETTINGS)
    x = np.concatenate([source.arrays["x"] for source in data])
    np.testing.assert_array_equal(np.sort(x[:, 1]), np.arange(1100, 1112))
    ambiguous = write("a;b;y\n" + "".join(f"{n};1,{n + 100};{n % 2}\n" for n in range(12)))
    with pytest.raises(
        ValueError, match=r"^b: line 2 of .* is '1,100'; can be read in two ways; say decimal"
    ):
        csv(ambiguous, "y", rules=2, **SETTINGS)
    for decimal, least in ((".", 1100), (",", 1.1)):
        data = csv(ambiguous, "y", rules=2, decimal=decimal, **SETTINGS)
        assert min(source.arrays["x"][:, 1].min() for source in data) == np.float32(least)


@pytest.fixture
def frame():
    return pl.DataFrame(
        {
            "n": np.arange(20) + 0.5,
            "big": np.arange(20) + 2**40,
            "flag": [number % 2 == 0 for number in range(20)],
            "colour": pl.Series(["red", "blue"] * 10, dtype=pl.Categorical),
            "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 20), eager=True),
            "gap": [None, *range(19)],
            "y": ["a", "b"] * 10,
        }
    )


@pytest.mark.parametrize("save", ["write_parquet", "write_ipc", "write_ipc_stream"])
def test_files_of_columns_are_read_as_text_is(frame, save, tmp_path):
    getattr(frame, save)(tmp_path / "table.file")
    frame.write_csv(tmp_path / "table.csv")
    settings = {"missing": "mean", "unseen": "replace", "stratify": True, **SETTINGS}
    data = parquet(str(tmp_path / "table.file"), "y", **settings)
    same(data, csv(str(tmp_path / "table.csv"), "y", rules=2, **settings))
    assert [column.dates for column in data.spec.columns] == [None] * 4 + ["ymd", None]
    with pytest.raises(ValueError, match=r"^gap: row 0 of .* is empty; need a finite number"):
        parquet(str(tmp_path / "table.file"), "y", **SETTINGS)


def test_a_column_of_another_kind_is_refused_unless_it_is_dropped(frame, tmp_path):
    path = tmp_path / "table.parquet"
    frame.with_columns(pair=pl.concat_list("n", "n")).write_parquet(path)
    with pytest.raises(ValueError, match=r"^pair: .* holds List\(Float64\) there; drop the column"):
        parquet(str(path), "y", missing="mean", **SETTINGS)
    assert len(parquet(str(path), "y", missing="mean", drop=["pair"], **SETTINGS).spec.columns) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(TEXT.encode())[:-9], "path: {path} is damaged: "),
        (b"PK\3\4 and more", "path: {path} is a zip archive, perhaps of Excel; save it as CSV or Parquet"),
        (b"PAR1 and more", "path: {path} is a file of Parquet; use dataset=parquet"),
        (b"a,y\n1\0,2\n", "path: {path} holds zero bytes"),
        ("a,y\n1,2\n".encode("utf-16-le"), "path: {path} holds zero bytes"),
    ],
)
def test_files_that_are_no_text_are_refused(write, content, message):
    path = write(content)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        csv(path, "y")
    assert str(found.value).startswith(message.replace("{path}", path))


@pytest.mark.parametrize(
    "content", [b"", b"a,y\n1,2\n", b"PAR1", b"PAR1 and more PAR1", b"ARROW1\0\0 and more"]
)
def test_files_that_are_no_columns_are_refused(write, content):
    with pytest.raises(
        ValueError, match=r"^path: .*my.csv (is empty|is no file of|is damaged or no file of)"
    ):
        parquet(write(content), "y")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "utf-9"}, "encoding: 'utf-9' is no encoding that Python knows"),
        ({"delimiter": ";;"}, "delimiter: ';;' cannot separate cells"),
        ({"decimal": ";"}, "decimal: ';' is none of ,, ."),
    ],
)
def test_ways_to_write_text_that_do_not_exist_are_refused(write, settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        csv(write(TEXT), "y", **settings)
