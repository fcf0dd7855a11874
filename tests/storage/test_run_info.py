"""What run.json holds: typed, complete, and readable whichever version has written it."""

import json

import pytest

from runner.storage.run_info import NO_BEST, RunInfo


def test_what_is_written_is_read_again(tmp_path):
    info = RunInfo("finished", seed=3, versions={"jax": "0.10"}, changes=["a: 1 there, 2 now"], saved=7)
    (tmp_path / "run.json").write_bytes(info.to_json())
    assert RunInfo.read(tmp_path) == info


def test_a_file_of_before_takes_defaults_for_what_it_lacks(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "stopped", "seed": 1, "a key of later": 5}')
    info = RunInfo.read(tmp_path)
    assert (info.status, info.seed, info.best, info.changes, info.saved) == ("stopped", 1, NO_BEST, [], None)


def test_the_earlier_text_of_the_devices_is_read_as_the_present_one(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "stopped", "device": "cpu (cpu), 8 in sight"}')
    assert RunInfo.read(tmp_path).device == "cpu (cpu), devices: 8"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "run.json: has no status"),
        ({"status": "finished", "version": 2}, "another version of runner"),
        ({"status": "finished", "saved": "7"}, "saved is '7'"),
        ({"status": "finished", "best": {"step": 1}}, "best lacks"),
    ],
)
def test_what_cannot_be_right_is_refused_by_its_key(tmp_path, fields, message):
    (tmp_path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=message):
        RunInfo.read(tmp_path)
