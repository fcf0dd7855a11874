"""Files are UTF-8 in every locale, and a terminal that lacks a character stops no run."""

import ast
import os
import re
import subprocess
import sys

from small_runs import COMMANDS
from test_layout import FILES, ROOT

from runner import open_run
from runner.cli import main

CODE = "from runner.cli import command; command()"
TEXT_FILES = {
    "open",
    "read_text",
    "write_text",
    "fdopen",
    "FileHandler",
    "NamedTemporaryFile",
    "TextIOWrapper",
}
BINARY = re.compile(r"'[rwxa]\+?b\+?'|^(os|Image)\.open")
OWN = [file for file in FILES if file.relative_to(ROOT).parts[0] in ("runner", "hydra_plugins")]
TABLE = "größe,art\n" + "".join(f"{n},{'süß' if n % 2 else 'herb→'}\n" for n in range(40))
ON_TABLE = [*COMMANDS["supervised"][1:], "dataset=csv", "dataset.target=art", "figures=false"]


def run(*words, locale="C", **options):
    """Runs a command in a locale without UTF-8; gives its exit code, and what it printed."""
    plain = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = [sys.executable, "-c", CODE]
    environment = {**os.environ, **plain, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*code, *words], capture_output=True, env=environment, **options)
    return done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")


def test_every_text_file_is_opened_with_its_encoding():
    found = []
    for file in OWN:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                given = {keyword.arg for keyword in call.keywords}
                is_text = name in TEXT_FILES and not BINARY.search(ast.unparse(call))
                if (is_text and "encoding" not in given) or given & {"text", "universal_newlines"}:
                    found.append(f"{file}: line {call.lineno}")
    assert found == []


def test_a_run_below_a_folder_that_the_locale_cannot_spell_trains_and_is_read(tmp_path):
    folder = tmp_path / "ü→"
    folder.mkdir()
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    code, printed, errors = run(*ON_TABLE, "dataset.path=table.csv", "hydra.run.dir=runs/a", cwd=folder)
    assert (code, errors) == (0, "")
    assert "finished at step 9" in printed
    for words in (["evaluate", "runs/a"], ["predict", "runs/a", "table.csv"], ["compare", "runs"], ["ls"]):
        code, _, errors = run(*words, cwd=folder)
        assert (code, errors) == (0, "")
    written = (folder / "runs" / "a" / "predictions" / "table.csv").read_text(encoding="utf-8")
    assert written.startswith(
        "größe,art,predicted_art,probability,probability_herb→,probability_süß\n0,herb→,"
    )
    assert open_run(folder / "runs" / "a").spec.labels == ("herb→", "süß")


def test_a_setting_that_the_locale_cannot_spell_is_refused_before_training(tmp_path):
    code, printed, errors = run(*ON_TABLE, "dataset.path=größe.csv", "hydra.run.dir=runs/a", cwd=tmp_path)
    assert (code, printed) == (2, "")
    assert errors.startswith(r"error: dataset.path=gr\udcc3\udcb6\udcc3\udc9fe.csv: is not text in ascii, ")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_saved_run_that_names_a_file_that_the_locale_cannot_spell_says_so(tmp_path):
    (tmp_path / "größe.csv").write_text(TABLE, encoding="utf-8")
    main([*ON_TABLE, "dataset.path='größe.csv'", "hydra.run.dir=run"])
    code, _, errors = run("evaluate", "run", cwd=tmp_path)
    assert code == 2
    assert errors == (
        r"error: gr\xf6\xdfe.csv: cannot be named in ascii, the encoding of this locale; set PYTHONUTF8=1"
        "\n"
    )
