"""One writer for a run directory, in whatever way the others end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

import faults.starts
from runner.errors import Busy
from runner.storage.lock import Lock, is_held
from runner.storage.run_directory import Directory

TAKE = """
import os, sys
from runner.storage.lock import Lock
from runner.errors import Busy
print("ready", flush=True)
sys.stdin.readline()
try:
    with Lock("run"):
        print("taken", flush=True)
        {then}
        sys.stdin.readline()
except Busy as error:
    print(error, flush=True)
"""
FORK = """
        if os.fork() == 0:  # a worker that outlives its parent; it waits for the end of its own pipe
            os.close(1)
            os.read(int(sys.argv[1]), 1)
            os._exit(0)
        print("forked", flush=True)
"""
CHILD = """
        if os.fork() == 0:
            try:
                with Lock("run"):
                    print("taken too", flush=True)
            except Busy as error:
                print(error, flush=True)
            os._exit(0)
"""
REWRITE = """
        os.truncate("run/.lock", 0)
        os.write(os.open("run/.lock", os.O_WRONLY), sys.argv[1].encode())
        print("rewritten", flush=True)
"""


@pytest.fixture
def start():
    """Starts processes that take the lock, when a line is written to them, and free it at another."""
    started = []

    def begin(then="pass", *arguments, **settings):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **settings}
        process = subprocess.Popen([sys.executable, "-c", TAKE.format(then=then), *arguments], **pipes)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def proceed(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_processes_that_start_at_once_exactly_one_writes_and_the_others_say_who(start):
    processes = [start() for _ in range(3)]
    for process in processes:
        proceed(process)
    answers = [process.stdout.readline() for process in processes]
    assert answers.count("taken\n") == 1
    winner = processes[answers.index("taken\n")]
    assert sum("in use by" in line for line in answers) == 2
    with pytest.raises(Busy, match=f"process {winner.pid} on"), Lock("run"):
        pass
    proceed(winner)
    winner.wait()
    with Lock("run"):
        pass


def test_a_killed_owner_frees_it_at_once_even_with_a_worker_alive(start):
    reading, writing = os.pipe()
    owner = start(FORK, str(reading), pass_fds=[reading])
    proceed(owner)
    assert [owner.stdout.readline() for _ in range(2)] == ["taken\n", "forked\n"]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with Lock("run"):
        pass
    os.close(writing)
    os.close(reading)


def test_a_process_cannot_take_it_twice_and_still_holds_it_after_trying(start):
    other = start()
    with Lock("run"):
        refused = []

        def take():
            try:
                with Lock("../" + os.path.basename(os.getcwd()) + "/run"):
                    refused.append(False)
            except Busy as error:
                refused.append(
                    str(error).endswith(
                        "in use by this process; wait for it to end, or take another hydra.run.dir"
                    )
                )

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        assert refused == [True]
        proceed(other)
        assert f"process {os.getpid()} on" in other.stdout.readline()
    with Lock("run"), Lock("elsewhere"):
        pass


def test_a_failure_inside_frees_it():
    with pytest.raises(KeyError), Lock("run"):
        raise KeyError
    with Lock("run"):
        pass


def test_a_forked_child_holds_nothing_of_its_parents(start):
    owner = start(CHILD)
    proceed(owner)
    assert owner.stdout.readline() == "taken\n"
    assert f"process {owner.pid} on" in owner.stdout.readline()


@pytest.mark.parametrize(
    "content", ["", json.dumps({"pid": 2**23, "host": socket.gethostname(), "start": "now"})]
)
def test_an_owner_that_has_not_said_who_it_is_is_another_process_whoever_was_before(start, content):
    owner = start(REWRITE, content)
    proceed(owner)
    assert [owner.stdout.readline() for _ in range(2)] == ["taken\n", "rewritten\n"]
    with pytest.raises(Busy, match="in use by another process; wait for it to end"), Lock("run"):
        pass


def test_to_ask_who_holds_it_does_not_free_it(start):
    other = start()
    assert not is_held("run")
    with Lock("run"):
        assert is_held("run")
        proceed(other)
        assert f"process {os.getpid()} on" in other.stdout.readline()


def test_of_many_starts_one_writes_and_a_killed_owner_is_followed_at_once():
    for tally in faults.starts.starts(trials=3):
        assert (tally.survived, tally.failures) == (3, [])


def test_without_the_lock_several_would_write():
    race, _ = faults.starts.starts(trials=1, disabled="lock")
    assert race.silent == 1


def test_a_link_in_its_place_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="lock"), Lock("run"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_directory_that_holds_the_lock_or_what_a_killed_beginning_left_is_free_for_any_run(tmp_path):
    with Lock("run"):
        Directory("run").claim({"seed": 0})
    for name in ("run.json", ".run.json.tmp", ".run.json.0a1b2c3d.tmp", ".config.yaml.00000000.tmp"):
        (tmp_path / "run" / name).write_text("{")
        Directory("run").claim({"seed": 0})
    assert json.loads((tmp_path / "run/.lock").read_text())["pid"] == os.getpid()
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds files, but no run"):
        Directory("run").claim({"seed": 0})
