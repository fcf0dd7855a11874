"""Runs that somebody else saved, each with something in it that it must not have: none of it is run or written to."""

import copy
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

EVIL = "from pathlib import Path\nPath('pwned').touch()\nnet = Loop = Path\n"
SHELL = {"_target_": "os.system", "command": "touch pwned"}
NOT_INSTALLED = "is not an installed part"
# What the configuration is made to say, and words of the refusal.
SETTINGS = {
    "a shell": ({"net": SHELL}, "net._target_: 'os.system'", NOT_INSTALLED),
    "a process": ({"net": {"_target_": "subprocess.Popen", "args": ["touch", "pwned"]}}, NOT_INSTALLED),
    "pickles": ({"loss": {"_target_": "numpy.load", "file": "x.npy", "allow_pickle": True}}, "numpy.load"),
    "eval": ({"loss": {"_target_": "builtins.eval", "source": "open('pwned', 'w')"}}, "builtins.eval"),
    "a partial": (
        {"scenario.loss": {"_target_": "builtins.exec", "_partial_": True}},
        "scenario.loss._target_",
    ),
    "in a list": ({"net.hidden_sizes": [8, [SHELL]]}, "net.hidden_sizes[1][0]._target_", "os.system"),
    "in a part": (
        {"schedule": {"_target_": "runner.schedules.Cosine", "end": SHELL}},
        "schedule.end._target_",
    ),
    "in no part": ({"dataset.more": {"inner": SHELL}}, "dataset.more.inner._target_"),
    "a module": ({"net._target_": "evil.net"}, "evil.net", NOT_INSTALLED),
    "a function by its name": (
        {"scenario.generator": {"_target_": "haiku.nets.MLP", "output_sizes": [2], "activation": "evil.net"}},
        "scenario.generator.activation._target_: 'evil.net'",
        NOT_INSTALLED,
    ),
    "a class by its name": (
        {"net": {"_target_": "haiku.nets.MLP", "output_sizes": [2], "activation": "pathlib.Path"}},
        "net.activation._target_: 'pathlib.Path'",
        NOT_INSTALLED,
    ),
    "the loop": ({"loop._target_": "evil.Loop"}, "loop._target_", NOT_INSTALLED),
    "evaluation": ({"evaluation._target_": "evil.net"}, "evaluation._target_", NOT_INSTALLED),
    "runner's own command": ({"net._target_": "runner.cli.main"}, "runner.cli.main"),
    "runner's own import": ({"net._target_": "runner.compose.build._locate"}, "runner.compose.build._locate"),
    "a module of runner's module": (
        {"net._target_": "runner.storage.run_directory.os.system"},
        NOT_INSTALLED,
    ),
    "a part of a part": ({"net._target_": "runner.nets.mlp.__globals__"}, NOT_INSTALLED),
    "optax": (
        {"scenario.generator_optimizer": {"_target_": "optax._src.alias.lamb"}},
        "optax._src.alias.lamb",
    ),
    "no name": ({"net._target_": ["os.system"]}, "net._target_", NOT_INSTALLED),
    "arguments": ({"net._args_": ["touch pwned"]}, "net._args_: is not allowed"),
    "conversion": ({"net._convert_": "all"}, "net._convert_: is not allowed"),
    "recursion": ({"scenario._recursive_": False}, "scenario._recursive_: is not allowed"),
    "the environment": ({"net.activation": "${oc.env:HOME}"}, "the interpolation '${oc.env:HOME}'"),
    "a part of itself": ({"net.activation": "@net"}, "more than 24 levels"),
    "parts in a circle": ({"net.activation": "@loss", "loss.is": "@net"}, "more than 24 levels"),
    "a bomb of parts": (
        {"net.is": ["@a"] * 99, "a": ["@b"] * 99, "b": ["@c"] * 99, "c": [0] * 99},
        "20000 values",
    ),
    "no part": ({"net.hidden_sizes": ["@nothing"]}, "there is no part 'nothing'"),
    "Hydra's own": ({"hydra": {"run": {"dir": "/pwned"}}}, "hydra"),
    "an unknown setting": ({"net.hidden": 3}, "net.hidden", "did you mean hidden_sizes?"),
    "a run next to it": (
        {
            "evaluation._target_": "runner.evaluators.Samples",
            "evaluation.features": {"_target_": "runner.runs.features", "run": "set a module"},
        },
        "evaluation.features: net._target_: 'evil.net'",
    ),
    "a run before it": ({"init_from": "set a module"}, "init_from: net._target_: 'evil.net'"),
    "pickled data": (
        {"dataset": {"_target_": "runner.datasets.npz", "path": "pickled.npz"}},
        "dataset.path: pickled.npz holds Python objects",
    ),
    "a damaged archive": (
        {"dataset": {"_target_": "runner.datasets.npz", "path": "huge.npz"}},
        "dataset.path: huge.npz is damaged: ",
    ),
    "a long text": ({"net.activation": "a" * 200_000}, "net.activation: 'aaa", "known are celu"),
    "another type": ({"seed": "many"}, "seed: 'many' is not a whole number"),
}
# What stands after the configuration, or instead of it.
TEXTS = {
    "a tag that calls": ("more: !!python/object/apply:os.system ['touch pwned']", "the tag", "not allowed"),
    "a tag that imports": ("more: !!python/module:evil", "the tag", "not allowed"),
    "a tag of nobody": ("more: !evil 3", "the tag !evil is not allowed"),
    "a tag of text": ("more: !!str 3", "the tag tag:yaml.org,2002:str is not allowed"),
    "an anchor": ("more: &a 3", "an anchor or an alias"),
    "an alias": ("more: *a", "an anchor or an alias"),
    "a bomb": (
        "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0]\n"
        + "\n".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "an anchor or an alias",
    ),
    "a circle": ("more: &a [*a]", "an anchor or an alias"),
    "depth": (f"more: {'[' * 40}{']' * 40}", "more than 24 levels"),
    "great depth": (f"more: {'[' * 99_999}", "level"),
    "many values": (f"more: [{'0, ' * 30_000}]", "or 20000 values"),
    "size": (f"more: {'a' * 300_000}", "is longer than 262144 bytes"),
    "a key twice": ("seed: 1", "the key 'seed' is given twice"),
    "a merge": ("<<: {seed: 1}", "is not a plain value"),
    "a key that is a number": ("1: 2", "a key is not a text"),
    "a key that is a list": ("? [a]\n: b", "a key is not a text"),
    "a date": ("more: 2020-01-01", "'2020-01-01' is not a plain value"),
    "a huge number": (f"more: {'9' * 9999}", "limit"),
    "an open list": ("more: [1", "expected ',' or ']'"),
    "a tab": ("more:\n\t- 1", "that cannot start any token"),
    "a zero byte": ("more: \0", "characters are not allowed"),
    "another document": ("---\nseed: 1", "expected a single document"),
    "other bytes": ("more: \udcff", "is not UTF-8"),
}
INFOS = {
    "half": ('{"seed": 0, "spec": {', "run.json: is damaged or not JSON"),
    "nothing": ("", "run.json: is damaged or not JSON"),
    "a list": ("[]", "run.json: is not a JSON object"),
    "depth": ("[" * 99_999, "run.json: is damaged or not JSON"),
    "no status": ("{}", "run.json: has no status"),
    "no spec": ('{"status": "finished"}', "run.json: does not describe the run's data (KeyError"),
    "another spec": (
        '{"status": "finished", "spec": {"columns": [], "features": 3}}',
        "run.json: does not describe",
    ),
}
LINKS = {"metrics.jsonl": "evil.py", "samples": ".", "checkpoints": "honest/checkpoints"}
WORDS = {
    **{f"set {name}": words for name, (_, *words) in SETTINGS.items()},
    **{f"text {name}": words for name, (_, *words) in TEXTS.items()},
    **{f"info {name}": words for name, (_, *words) in INFOS.items()},
    "record": ["metrics.jsonl: line 2: is damaged or not JSON"],
    **{name: ["is neither a file nor a folder"] for name in (*(f"link {name}" for name in LINKS), "pipe")},
}
# The verbs that read what is wrong before they write; all read the configuration.
VERBS = {
    **{f"info {name}": ["evaluate", "sample"] for name in INFOS},
    "set a run next to it": ["evaluate", "resume"],
    "set a run before it": ["resume"],
    "set pickled data": ["evaluate", "resume"],
    "set a damaged archive": ["evaluate", "resume"],
    "record": ["evaluate", "sample"],
}
ALL = ["evaluate", "sample", "resume", "figures", "replay", "predict"]
CHILD = r"""
import json, os, sys
from watched import Watch, call

cases = json.loads(sys.argv[1])
WORDS = {"evaluate": [], "sample": ["n=2"], "resume": ["steps=12"], "figures": [], "replay": [], "predict": ["x.npz"],
         "status": [], "show": [], "diff": ["honest"]}
for verb, words in WORDS.items():  # so that all is imported that an honest run needs
    code, _, message = call([verb, "honest", *words])
    assert code == 0 or verb in ("replay", "predict"), message  # a GAN does not predict
for verb in ("ls", "compare"):
    code, _, message = call([verb, "."])
    assert code == 0, message
watch = Watch(os.getcwd())
answers = {}
for name, verbs in cases.items():
    for verb in (*verbs, "status", "show", "diff"):
        code, _, message, did = watch.call([verb, name, *WORDS[verb]])
        answers[f"{name} {verb}"] = code, message, did
for verb in ("ls", "compare"):
    code, _, message, did = watch.call([verb, "."])
    answers[verb] = code, message, [event for event in did if "table." not in event]
print(json.dumps(answers))
"""


def put(config, key, value):
    *folders, last = key.split(".")
    for folder in folders:
        config = config[folder]
    config[last] = value


@pytest.fixture(scope="module")
def answers(home):
    """What each verb says of each foreign run, and what it did, all in one process."""
    (home / "evil.py").write_text(EVIL)
    honest = yaml.safe_load((home / "honest/config.yaml").read_text())

    def lay(name, file="config.yaml", text=""):
        shutil.copytree(home / "honest", home / name)
        (home / name / file).write_bytes(text.encode(errors="surrogateescape"))

    for name, (changes, *_) in SETTINGS.items():
        config = copy.deepcopy(honest)
        for key, value in changes.items():
            put(config, key, value)
        lay(f"set {name}", text=yaml.safe_dump(config))
    for name, (text, *_) in TEXTS.items():
        lay(f"text {name}", text=f"{yaml.safe_dump(honest)}{text}\n")
    for name, (text, *_) in INFOS.items():
        lay(f"info {name}", "run.json", text)
    lay("record", "metrics.jsonl", '{"step": 1}\n{"st\n{"step": 2}\n')
    for name, target in LINKS.items():
        lay(f"link {name}", ".tmp")
        place = home / f"link {name}" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
        place.symlink_to(home / target)
    lay("pipe", ".tmp")
    (home / "pipe/run.json").unlink()
    os.mkfifo(home / "pipe/run.json")
    np.savez(home / "pickled.npz", x=np.array([{}, {}]), y=np.zeros(2))
    with zipfile.ZipFile(home / "huge.npz", "w") as archive, archive.open("x.npy", "w") as file:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (10**30, 2)}
        np.lib.format.write_array_header_1_0(file, shape)
    cases = {name: VERBS.get(name, ALL) for name in WORDS}
    folders = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"RUNNER_CACHE": "off", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(cases)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (home / "pwned").exists()
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", WORDS)
def test_a_foreign_run_is_refused_by_one_line_and_does_nothing(answers, name):
    for verb in VERBS.get(name, ALL):
        code, message, did = answers[f"{name} {verb}"]
        assert code == 2, message
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        assert len(message) < 2200
        is_early = verb == "replay" and "there is nothing to replay" in message
        assert is_early or all(word in message for word in WORDS[name]), message
        assert did == []


@pytest.mark.parametrize("name", WORDS)
def test_what_describes_a_foreign_run_does_nothing_else(answers, name):
    for verb in ("status", "show", "diff"):
        code, message, did = answers[f"{name} {verb}"]
        assert code in (0, 2), message
        assert message.count("\n") <= 1
        assert did == []


@pytest.mark.parametrize("verb", ["ls", "compare"])
def test_a_list_of_foreign_runs_writes_its_tables_alone(answers, verb):
    code, message, did = answers[verb]
    assert code == 0, message
    assert did == []
