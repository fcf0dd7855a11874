import signal
import subprocess
import sys
import threading

import pytest

from faults.stops import Trial, run, stops
from runner import open_run
from runner.process import signals

# A child that is in a call that Python cannot interrupt, as it is in a compile, when it is struck twice.
STRUCK_TWICE = """
import hashlib, os, sys, threading
from runner.process import signals

def strike():
    for _ in range(2):
        os.kill(os.getpid(), int(sys.argv[1]))
        while not signals.asked():
            pass

with signals.listening():
    threading.Thread(target=strike).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000_000)
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
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once_even_from_a_call_that_python_cannot_interrupt(number):
    ended = child(STRUCK_TWICE, number.value)
    assert (ended.returncode, ended.stderr) == (128 + number, "")


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


def test_other_signals_and_other_threads_ask_for_nothing():
    listened = []
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with signals.listening():
        signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    assert not signals.asked()

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


def test_a_second_signal_while_saving_keeps_the_step_saved_before(tmp_path):
    code, complaint = run(tmp_path / "run", Trial("saving", "SIGTERM", 2, 3))
    assert (code, complaint) == (143, "")
    left = open_run(tmp_path / "run")
    assert left.info.saved == left.checkpoints.newest() == 100
