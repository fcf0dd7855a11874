"""Output that nobody can read: it never stops a run, and only what was asked to be printed is missed."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from runner.process import signals

PRINTS = """
import sys
from runner import cli
cli.main = lambda: [print(number, file=stream) for number in range(9) for stream in (sys.stdout, sys.stderr)]
cli.command()
"""
CODE = "from runner.cli import command; command()"
RUN = ["dataset=iris", "net.hidden_sizes=[8]", "steps=40", "loop.log_every=2", "figures=false"]


@pytest.fixture
def child(tmp_path):
    """Runs code with an output, or an error output, that cannot be written; gives its exit code and the other one."""
    refusing = os.open(os.devnull, os.O_RDONLY)  # refuses to be written, as a full disk does
    reader, gone = os.pipe()
    os.close(reader)
    ends = {"refused": refusing, "gone": gone, "closed": subprocess.PIPE, "read": subprocess.PIPE}

    def run(out, err, code, *words):
        closes = f"{'>&-' if out == 'closed' else ''} {'2>&-' if err == 'closed' else ''}"
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {closes}', "sh", sys.executable, "-c", code, *words],
            stdout=ends[out],
            stderr=ends[err],
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            timeout=300,
        )
        return ended.returncode, ((ended.stdout or b"") + (ended.stderr or b"")).decode()

    yield run
    os.close(refusing)
    os.close(gone)


@pytest.mark.parametrize("kind", ["refused", "gone", "closed"])
def test_a_line_that_cannot_be_written_is_dropped_and_nobody_complains(kind, child):
    lines = "".join(f"{number}\n" for number in range(9))
    assert child(kind, "read", PRINTS) == (0, lines)
    assert child("read", kind, PRINTS) == (0, lines)
    assert child(kind, kind, PRINTS) == (0, "")


@pytest.mark.parametrize("words", [["--version"], ["parts", "loss"], ["--help"], ["--cfg", "job"]])
def test_what_was_asked_to_be_printed_is_missed_unless_its_reader_has_gone(words, child):
    line = f"error: standard output: {os.strerror(9)}; what was printed is lost\n"
    assert child("refused", "read", CODE, *words) == (4, line)
    assert child("gone", "read", CODE, *words) == (0, "")
    assert child("closed", "read", CODE, *words) == (0, "")


def test_a_descriptor_that_was_closed_is_not_that_of_a_file(child, tmp_path):
    code = f"from runner import cli; cli.main = lambda: print(open({str(tmp_path / 'file')!r}, 'w').fileno())"
    code += "; cli.command()"
    assert child("read", "closed", code) == (0, "3\n")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refused", "gone", "closed"])
def test_a_run_ends_well(kind, child, tmp_path):
    assert child(kind, kind, CODE, *RUN, f"hydra.run.dir={tmp_path / kind}") == (0, "")
    assert '"status": "finished"' in (tmp_path / kind / "run.json").read_text()
    sweep = ["-m", "seed=0,1", *RUN, f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    assert child(kind, kind, CODE, *sweep) == (0, "")


def test_a_second_signal_is_heard_while_nobody_reads_what_the_first_one_prints(monkeypatch):
    read = threading.Event()

    class Full:
        def write(self, text):
            read.wait()

        def flush(self):
            pass

    with signals.listening(), monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        patch.setattr(signals, "APART", 0)
        exits = []
        patch.setattr(os, "_exit", exits.append)
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            while not signals.asked():
                assert threading.active_count() > 1
        while not exits:
            assert threading.active_count() > 1
    read.set()
