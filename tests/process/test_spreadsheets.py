import csv
import io

import pytest

from runner.process.spreadsheets import csv_of


@pytest.mark.parametrize("cell", [-0.5, 3, "-0.5", "+1e3", "-inf", "a=1", "", None, "a,b", 'a"b', "a\nb"])
def test_numbers_and_plain_texts_are_written_as_they_are(cell):
    assert [*csv.reader(io.StringIO(csv_of([[cell, "x"]])))] == [["" if cell is None else str(cell), "x"]]


@pytest.mark.parametrize("cell", ["=1", "+a", "-a", "@a", "\t=1", "-1\n=2", "=-1"])
def test_a_text_that_would_be_computed_gets_an_apostrophe(cell):
    assert [*csv.reader(io.StringIO(csv_of([[cell, "x"]]), newline=""))] == [[f"'{cell}", "x"]]


def test_no_cell_begins_another_row():
    assert csv_of([["a\r=1", "x"]]) == "a\\r=1,x\n"
