import os
import queue
import signal
import subprocess
import sys
import threading
import types

import pytest

from faults.stops import Trial, run, stops
from runner import open_run
from runner.process import signals

# A child that is in a call that Python cannot interrupt, as it is in a compile, when it is struck twice.
STRUCK_TWICE = """
import hashlib, signal, sys, threading
from runner.process import signals

signals.APART = float(sys.argv[2])

def strike():
    for _ in range(2):
        signal.raise_signal(int(sys.argv[1]))
        while not signals.asked():
            pass

with signals.listening():
    thread = threading.Thread(target=strike)
    thread.start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(sys.argv[3]))
    thread.join()
sys.exit(signals.exit_code())
"""
# A child that waits for a file that nobody writes, after it was asked to stop; it may save, or compute, meanwhile.
STUCK = """
import contextlib, hashlib, os, signal, sys, threading
from runner.process import signals

path, work = sys.argv[1:]
signals.PATIENCE = 0.2

def ask():
    with signals.saving() if work == "saves" else contextlib.nullcontext():
        signal.raise_signal(signal.SIGTERM)
        if work:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 3_000_000)
        if work == "saves":
            threading.Event().wait(1)
        if work:
            open(path, "w").close()

with signals.listening():
    threading.Thread(target=ask).start()
    open(path).close()
os._exit(signals.exit_code() + 1)
"""
# A forked worker that says when it is there, and is then ended by its parent.
FORKED = """
import os, signal
from runner.process import signals

with signals.listening():
    reader, writer = os.pipe()
    worker = os.fork()
    if not worker:
        os.write(writer, b".")
        signal.pause()
        os._exit(1)
    os.read(reader, 1)
    os.kill(worker, signal.SIGTERM)
    _, status = os.waitpid(worker, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    os.kill(os.getpid(), signal.SIGINT)
    while not signals.asked():
        pass
    assert signals.exit_code() == 130
"""


def child(code, *words):
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def receive(number):
    signal.raise_signal(number)
    while not signals.asked():
        assert threading.active_count() > 1


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (*signals.ALWAYS, *signals.BY_DEFAULT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._received.clear()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_the_first_signal_asks_even_where_it_was_ignored_and_all_is_then_as_before(number, handler, capsys):
    signal.signal(number, handler)
    with signals.listening():
        assert not signals.asked()
        receive(number)
    assert signals.exit_code() == 128 + number
    assert capsys.readouterr().out.startswith("stopping: the state is saved")
    assert signal.getsignal(number) == handler
    assert signal.set_wakeup_fd(-1) == -1
    with signals.listening():
        assert not signals.asked()


def test_a_command_within_another_leaves_signals_to_the_outer_one():
    before = signal.getsignal(signal.SIGTERM)
    with signals.listening():
        with signals.listening():
            pass
        assert not signals.asked()
        receive(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once_even_from_a_call_that_python_cannot_interrupt(number):
    ended = child(STRUCK_TWICE, number.value, 0, 20_000_000)
    assert (ended.returncode, ended.stderr) == (128 + number, "")


@pytest.fixture
def clock(monkeypatch):
    """The clock of the signals, and the exit codes with which they would have ended the process."""
    held = types.SimpleNamespace(now=100.0, reads=0, exits=queue.Queue())

    def monotonic():
        held.reads += 1
        return held.now

    monkeypatch.setattr(signals, "monotonic", monotonic)
    monkeypatch.setattr(os, "_exit", held.exits.put)
    return held


def receive_again(number, clock):
    reads = clock.reads
    signal.raise_signal(number)
    while clock.reads == reads:
        assert threading.active_count() > 1


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("later", [0.0, 0.2, 1.4])
def test_a_signal_soon_after_the_first_is_the_same_request(clock, second, later):
    with signals.listening():
        receive(signal.SIGINT)
        for _ in range(3):
            clock.now = 100 + later
            receive_again(second, clock)
    assert clock.exits.empty()
    assert signals.exit_code() == 128 + signal.SIGINT


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_some_time_after_the_first_exits_at_once_whatever_came_in_between(clock, second, capsys):
    with signals.listening():
        receive(signal.SIGTERM)
        clock.now = 101.4
        receive_again(signal.SIGTERM, clock)
        clock.now = 101.5
        receive_again(second, clock)
        assert clock.exits.get() == 128 + second
    assert "a second signal, 1.5 seconds later, exits at once" in capsys.readouterr().out


def test_each_command_waits_anew_for_its_first_signal(clock):
    for now in (100, 200):
        clock.now = now
        with signals.listening():
            receive(signal.SIGINT)
            receive_again(signal.SIGINT, clock)
    assert clock.exits.empty()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_forwarded_a_second_time_leaves_time_to_save(number):
    ended = child(STRUCK_TWICE, number.value, signals.APART, 1)
    assert (ended.returncode, ended.stderr) == (128 + number, "")
    assert ended.stdout.count("stopping") == 1


def test_what_ends_a_forked_worker_asks_nothing_of_its_parent():
    ended = child(FORKED)
    assert ended.returncode == 0, ended.stderr


def test_a_reader_that_has_gone_keeps_no_run_from_being_saved(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

    with signals.listening():
        monkeypatch.setattr(sys, "stdout", Gone())
        receive(signal.SIGINT)


def test_a_verb_that_saves_no_run_is_left_at_once():
    code = "import signal; from runner import cli; from runner.commands import verbs"
    ended = child(f"{code}; verbs.call = lambda *_: signal.raise_signal(2); cli.main(['ls'])")
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("number", signals.BY_DEFAULT)
def test_a_closed_terminal_and_a_scheduler_ask_to_stop_too(number):
    with signals.listening():
        receive(number)
    assert signals.exit_code() == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.parametrize("number", signals.BY_DEFAULT)
@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "handled"])
def test_such_a_signal_is_left_to_whoever_has_decided_about_it(number, handler):
    signal.signal(number, handler)
    with signals.listening():
        signal.raise_signal(number)
        signals.leave_at_once()
        assert signal.getsignal(number) == handler
    assert not signals.asked()


def test_a_handler_that_is_installed_during_a_run_has_the_signal_to_itself():
    received = []
    with signals.listening():
        signal.signal(signal.SIGUSR1, lambda *_: received.append("own"))
        signal.raise_signal(signal.SIGUSR1)
        receive(signal.SIGUSR2)  # the watcher has read both
    assert (received, signals.exit_code()) == (["own"], 128 + signal.SIGUSR2)


@pytest.mark.parametrize("work", ["", "computes", "saves"])
def test_a_process_that_waits_in_vain_ends_after_a_request_unless_it_computes_or_saves(work, tmp_path):
    os.mkfifo(tmp_path / "cached")
    ended = child(STUCK, tmp_path / "cached", work)
    assert ended.stdout.count("stopping") == 1
    if work:
        assert (ended.returncode, ended.stderr) == (144, "")
    else:
        assert ended.returncode == 143
        assert ended.stderr.startswith("error: stopped without a save: nothing has happened for 0.2 seconds")


def test_other_threads_ask_for_nothing():
    listened = []

    def listen():
        with signals.listening():
            listened.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert listened == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.slow
def test_in_each_phase_a_signal_stops_a_command_and_the_same_command_ends_with_the_same_bits():
    tallies = list(stops(every=9))
    assert [tally.failures for tally in tallies] == [[]] * 5
    assert [tally.survived for tally in tallies] == [1] * 5


def test_a_second_signal_while_saving_saves_this_step_too_if_it_follows_at_once(tmp_path):
    code, complaint = run(tmp_path / "run", Trial("saving", "SIGTERM", 2, 3))
    left = open_run(tmp_path / "run")
    assert (code, complaint.split()[4]) == (143, f"{left.info.saved};")
    assert left.info.saved == left.checkpoints.newest() >= 150


def test_a_second_signal_some_time_later_while_saving_keeps_the_step_saved_before(tmp_path):
    code, complaint = run(tmp_path / "run", Trial("saving", "SIGTERM", 3, 3))
    assert (code, complaint) == (143, "")
    left = open_run(tmp_path / "run")
    assert left.info.saved == left.checkpoints.newest() == 100
