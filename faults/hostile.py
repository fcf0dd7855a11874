"""Run directories from somebody else: nothing that they name is executed, by any command."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from faults.tally import Tally

WORDS = ["dataset=iris", "net.hidden_sizes=[4]", "dataset.batch_size=8", "figures=false", "steps=6"]
COMMANDS = [
    *[["status", "."], ["show", "."], ["diff", ".", "../honest"], ["ls", ".."], ["compare", ".."]],
    *[["evaluate", "."], ["figures", "."], ["sample", ".", "n=2"], ["predict", ".", "rows.csv"]],
    *[["replay", "."], ["resume", "."], ["resume", ".", "steps=8"], ["check", "dataset.path=."]],
    [*WORDS, "hydra.run.dir=."],
    [*WORDS, "hydra.run.dir=below"],
]
GIT = {
    "fsmonitor": "[core]\n\tfsmonitor = {}\n",
    "hooks": "[core]\n\thooksPath = .\n",
    "filters": '[filter "evil"]\n\tclean = {}\n\tsmudge = {}\n\tprocess = {}\n\trequired = true\n',
    "differences": '[diff]\n\texternal = {}\n[diff "evil"]\n\ttextconv = {}\n\tcommand = {}\n',
    "an editor and a pager": "[core]\n\teditor = {}\n\tpager = {}\n\tsshCommand = {}\n",
    "an alias": "[alias]\n\tstatus = !{}\n\trev-parse = !{}\n",
    "another configuration": "[include]\n\tpath = ../more\n",
}
CONFIGURATIONS = {  # lines that follow the configuration without its dataset
    "a shell": "dataset: {{_target_: os.system, command: {}}}\n",
    "a process": "dataset: {{_target_: subprocess.call, args: [{}]}}\n",
    "a module": "dataset: {{_target_: evil.data}}\n",
    "a tag": "dataset: !!python/object/apply:os.system [{}]\n",
    "a resolver": "dataset: ${{oc.env:HOME}}\n",
}
EVIL = "import os; os.system({!r})"
TEXTS = {
    "modules": dict.fromkeys(("evil.py", "sitecustomize.py", "usercustomize.py", "yaml.py"), EVIL),
    "plugins": dict.fromkeys(("conftest.py", "setup.py", "hydra_plugins/evil.py"), EVIL),
    "matplotlib": {"matplotlibrc": "text.usetex: True\ntext.latex.preamble: \\write18{{{}}}\n"},
    "a line to paste": {"run.json": '{{"status": "stopped", "goes_on": "{}"}}'},
}


def hostile(disabled: str = "") -> Iterator[Tally]:
    """Runs each command in each hostile directory, and looks for the mark that its programs would leave.

    Args:
        disabled: "trust" trusts the directories, to check that the mark is seen, or "".
    """
    commands = [["evaluate", ".", "trust_code=true"]] if disabled == "trust" else COMMANDS
    tally = Tally("directories that name programs")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answers = _call([[*WORDS, f"hydra.run.dir={folder / 'honest'}"]], folder)
        if answers != [0]:
            raise RuntimeError(f"an honest run ends with {answers}")
        mark, program = folder / "executed", folder / "program"
        program.write_text(f"#!/bin/sh\ntouch {mark}\n")
        program.chmod(0o755)
        for kind, directory in _laid(folder, str(program)):
            for command, code in zip(commands, _call(commands, directory), strict=True):
                outcome = "silent" if code == 1 and not disabled else "survived"
                tally.count(outcome, f"{kind}, {command}: ends with {code}")
            if mark.exists():
                mark.unlink()
                tally.count("executed", kind)
            shutil.rmtree(directory)
    yield tally


def _laid(folder: Path, program: str) -> Iterator[tuple[str, Path]]:
    for kind, text in GIT.items():
        directory = _copied(folder)
        subprocess.run(["git", "init", "--quiet", directory], check=True)
        (directory / ".gitattributes").write_text("* filter=evil diff=evil\n")
        for hook in ("post-index-change", "fsmonitor-watchman", "pre-commit", "post-checkout"):
            shutil.copy(program, directory / hook)
            shutil.copy(program, directory / ".git" / "hooks" / hook)
        (directory / "more").write_text(f"[core]\n\tfsmonitor = {program}\n")
        with (directory / ".git" / "config").open("a") as file:
            file.write(text.replace("{}", program))
        yield f"git: {kind}", directory
    for kind, text in CONFIGURATIONS.items():
        directory = _copied(folder)
        path = directory / "config.yaml"
        config = yaml.safe_load(path.read_text())
        del config["dataset"]
        path.write_text(yaml.safe_dump(config) + text.format(program))
        (directory / "evil.py").write_text(f"import os\nos.system({program!r})\n")
        yield f"configuration: {kind}", directory
    for kind, files in TEXTS.items():
        directory = _copied(folder)
        for file, text in files.items():
            (directory / file).parent.mkdir(exist_ok=True)
            (directory / file).write_text(text.format(program))
        yield kind, directory


def _copied(folder: Path) -> Path:
    return Path(shutil.copytree(folder / "honest", folder / "evil"))


def _call(commands: list[list[str]], directory: Path) -> list[int]:
    """Returns the exit codes of commands in a directory, in one process, which imports nothing from there."""
    words = [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.path.append({str(Path(__file__).parents[1])!r}); "
        "from faults.hostile import _main; _main()",
        json.dumps(commands),
    ]
    ended = subprocess.run(
        words, cwd=directory, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return json.loads(ended.stdout.splitlines()[-1])


def _main() -> None:
    from runner.cli import main

    codes = []
    for words in json.loads(sys.argv[-1]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                main(words)
                codes.append(0)
            except SystemExit as stopped:
                codes.append(stopped.code)
    print(json.dumps(codes))
