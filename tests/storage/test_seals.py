import json
import os
import random

import pytest

from faults.damage import DAMAGES
from runner.storage import seals

FILES = ("array", "inner/manifest", "inner/deep/empty")
NOTE = {"step": 3, "value": None}


def sealed(folder):
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if name.endswith("empty") else random.Random(name).randbytes(500))
    seals.seal(folder, NOTE)
    return folder


def test_a_whole_folder_gives_its_note_wherever_it_is_moved_to(tmp_path):
    moved = sealed(tmp_path / "draft").rename(tmp_path / "3")
    assert seals.verify(moved) == seals.note(moved) == NOTE


@pytest.mark.parametrize("way", DAMAGES)
@pytest.mark.parametrize("name", [*FILES[:2], seals.NAME])
def test_damage_of_any_kind_to_any_file_breaks_the_seal(tmp_path, name, way):
    folder = sealed(tmp_path / "3")
    way(folder / name, random.Random(0))
    with pytest.raises(seals.Broken):
        seals.verify(folder)


def test_a_flipped_bit_in_any_byte_of_a_seal_breaks_it(tmp_path):
    folder = sealed(tmp_path / "3")
    whole = (folder / seals.NAME).read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        (folder / seals.NAME).write_bytes(flipped)
        with pytest.raises(seals.Broken):
            seals.verify(folder)


@pytest.mark.parametrize("text", ["", "null", "[]", '"sha256"', "{}", '{"sha256": 1, "body": 2}', "\xff"])
def test_what_is_no_seal_at_all_is_called_damaged(tmp_path, text):
    folder = sealed(tmp_path / "3")
    (folder / seals.NAME).write_text(text, "latin-1")
    with pytest.raises(seals.Broken, match="its seal is damaged"):
        seals.verify(folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("array", "file array is missing"), (seals.NAME, "it has no seal")],
)
def test_what_is_missing_is_named(tmp_path, name, reason):
    folder = sealed(tmp_path / "3")
    (folder / name).unlink()
    with pytest.raises(seals.Broken, match=reason):
        seals.verify(folder)


def test_two_files_that_change_places_are_reported(tmp_path):
    folder = sealed(tmp_path / "3")
    (folder / "array").rename(tmp_path / "aside")
    (folder / "inner/manifest").rename(folder / "array")
    (tmp_path / "aside").rename(folder / "inner/manifest")
    with pytest.raises(seals.Broken, match="file array is damaged"):
        seals.verify(folder)


def test_every_file_and_folder_reaches_the_disk_before_the_seal_is_done(tmp_path, monkeypatch):
    synced, own = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(os.path.realpath(f"/dev/fd/{file}")), own(file))
    )
    folder = sealed(tmp_path / "3").resolve()
    assert set(synced) == {str(path) for path in (folder, *folder.rglob("*"))}
    assert synced.index(str(folder / seals.NAME)) < synced.index(str(folder))


def test_a_seal_is_plain_json_that_other_tools_can_check(tmp_path):
    outer = json.loads((sealed(tmp_path / "3") / seals.NAME).read_text())
    assert sorted(json.loads(outer["body"])["files"]) == sorted(FILES)
