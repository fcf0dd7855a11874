"""Every setting of a run itself, of its loop, and of features has an effect, is refused, or is an exception by reason.

What is compared are the files that two runs write, their records, and what their checkpoints hold beside arrays.
Settings of all other parts are tried in tests/compose/test_effects.py.
"""

from pathlib import Path

import pytest

from runner.cli import main
from runner.compose.command_line import compose
from runner.compose.tree import leaves

SMALL = ["dataset=iris", "net.hidden_sizes=[8]", "steps=4", "loop.log_every=2", "loop.save_every=2"]
SAMPLES = ["scenario=gan", "dataset=iris", "net.hidden_sizes=[8]", "steps=2", "loop.log_every=2"]
FEATURES = [*SAMPLES, "evaluation=features", "evaluation.size=8", "evaluation.features.run=first"]
CHANGES = {  # setting -> words with which it is another one, and words that both runs need
    "allow": (["allow=steps"], []),
    "ema": (["ema=0.5"], []),
    "ensemble": (["ensemble=2"], []),
    "figures": (["figures=true"], []),
    "freeze": (["freeze=[net.params.linear]"], []),
    "init_from": (["init_from=first"], []),
    "init_names": (["init_names=[net.params.linear]"], ["init_from=first"]),
    "init_step": (["init_step=2"], ["init_from=first"]),
    "name": (["name=other"], []),
    "notes": (["notes=other"], []),
    "one_batch": (["one_batch=true"], []),
    "seed": (["seed=1"], []),
    "seeds": (["seeds=2"], []),
    "steps": (["steps=8"], []),
    "tags": (["tags=[other]"], []),
    "traceback": (["traceback=true"], []),
    "watch": (["watch=[net.params.linear]"], []),
    "loop.best": (["loop.best=loss"], []),
    "loop.check_state": (["loop.check_state=true"], []),
    "loop.devices": (["loop.devices=2"], []),
    "loop.evaluate_every": (["loop.evaluate_every=3"], []),
    "loop.fuse": (["loop.fuse=never"], []),
    "loop.log_every": (["loop.log_every=3"], []),
    "loop.mode": (["loop.mode=min"], []),
    "loop.patience": (["loop.patience=1"], ["optimizer.learning_rate=1e-9", "loop.evaluate_every=1"]),
    "loop.save_every": (["loop.save_every=3"], []),
}
REFUSED = {  # in these runs
    "loop.devices": "there is one device",
    "loop.mode": "it contradicts the declaration of the metric",
}
WITHOUT_EFFECT = {
    "allow": "names what a resumed run may change",
    "name": "a label, by which `runner ls` finds the run",
    "notes": "a label",
    "tags": "labels",
    "traceback": "shows more of an error, and there is none",
}


def written(words, folder):
    """Returns the files of a run, its records and the values of its checkpoints, or the exit code of its refusal."""
    last = {word.partition("=")[0]: word for word in [*SMALL, "figures=false", *words]}
    try:
        main([*last.values(), f"hydra.run.dir={folder}"])
    except SystemExit as stopped:
        return stopped.code
    chance = lambda path: "tfevents" in path.name or path.parent.name == "d"  # names that are drawn
    files = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not chance(path)}
    texts = sorted([*Path(folder).rglob("metrics.jsonl"), *Path(folder).rglob("extra/metadata")])
    return files, [path.read_text() for path in texts]


def tried(changes, words):
    """Returns the settings whose change is refused, and those whose change changes nothing."""
    before, refused, ineffective = {}, [], []
    for key, (change, both) in changes.items():
        if tuple(both) not in before:
            before[tuple(both)] = written([*words, *both], f"before-{key}")
            assert not isinstance(before[tuple(both)], int)
        changed = written([*words, *both, *change], key)
        if isinstance(changed, int):
            refused.append(key)
        elif changed == before[tuple(both)]:
            ineffective.append(key)
    return refused, ineffective


def test_all_settings_of_a_run_and_of_its_loop_are_tried():
    config = compose([])
    own = {key for key, value in config.items() if not isinstance(value, dict)}
    assert set(CHANGES) == own | {f"loop.{key}" for key in config["loop"].keys() - {"_target_", "steps"}}


@pytest.mark.slow
def test_every_setting_of_a_run_has_an_effect():
    written([], "first")
    assert tried(CHANGES, []) == (list(REFUSED), list(WITHOUT_EFFECT))


@pytest.mark.slow
def test_every_setting_of_features_has_an_effect():
    written([], "first")
    written(["seed=1"], "second")
    paths = lambda words: {key for key, _ in leaves(compose(words)) if key.startswith("evaluation.")}
    changes = {
        "evaluation.features.run": (["evaluation.features.run=second"], []),
        "evaluation.features.step": (["evaluation.features.step=2"], []),
    }
    others = paths([*SAMPLES, "evaluation=samples"]) - {"evaluation.features"}
    assert paths(FEATURES) - others == {*changes, "evaluation.features._target_"}
    assert tried(changes, FEATURES) == ([], [])
