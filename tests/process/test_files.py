"""Files that several commands write at once, or that a killed command has begun."""

from pathlib import Path

import pytest

from runner.process.files import drafts, replace, replace_by_parts


def test_two_commands_that_write_one_file_at_once_both_write_all_of_it(tmp_path):
    path = tmp_path / "table.csv"

    def parts():
        yield b"one"
        replace(path, b"another")
        assert path.read_bytes() == b"another"
        yield b" file"

    replace_by_parts(path, parts())
    assert path.read_bytes() == b"one file"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    path = tmp_path / "table.csv"
    replace(path, b"before")

    def parts():
        yield b"one"
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        replace_by_parts(path, parts())
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_the_drafts_of_a_file_are_its_own_alone(tmp_path):
    for name in (".a.json.tmp", ".a.json.01234567.tmp", ".b.json.tmp", "a.json", ".a.json.tmp.txt", ".a.tmp"):
        Path(tmp_path, name).touch()
    assert {each.name for each in drafts(tmp_path / "a.json")} == {".a.json.tmp", ".a.json.01234567.tmp"}
