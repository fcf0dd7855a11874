"""Figures depend on the installation only: not on settings of a user, of a process or of the working directory."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl

from runner.writers import figures

ROWS = [{"step": step, "loss": 1 / step, "validation/loss": 2 / step, "$\\frac{": step} for step in (1, 2, 3)]
CHILD = f"""
import hashlib
from runner.writers import figures
print(hashlib.sha256(figures.png(lambda: figures.curves({ROWS!r}))).hexdigest())
"""


def digest():
    return hashlib.sha256(figures.png(lambda: figures.curves(ROWS))).hexdigest()


def test_settings_of_the_process_do_not_change_a_figure_and_stay(monkeypatch):
    before = digest()
    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 9)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20)
    monkeypatch.setitem(mpl.rcParams, "text.usetex", True)
    assert digest() == before
    assert mpl.rcParams["font.size"] == 20


def test_files_of_settings_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "matplotlibrc")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/matplotlibrc").write_text("text.usetex: True\nfont.size: 20\nlines.linewidth: 9\n")
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path / "own")}
    environment["PYTHONPATH"] = str(Path(figures.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == digest()


def test_no_more_panels_are_drawn_than_can_be_seen():
    figure = figures.curves([{"step": 1, **{f"m{number}": 1 for number in range(500)}}])
    assert len(figure.axes) == figures.PANELS
