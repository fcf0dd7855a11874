"""A verb that is refused changes nothing, and one that succeeds writes only its own results."""

import contextlib
import inspect
import shutil
from pathlib import Path

import pytest
from damages import WORDS, broken, every, files, newest, no_data, other_data, overwritten, rows, without

from runner.cli import main
from runner.commands.verbs import VERBS

# The word for each parameter without a default; a new parameter needs one here.
GIVEN = {"run": "run", "other": "run", "folder": "run", "rows": "new.npz"}
# What a verb may write when it is not refused; all other verbs only read.
WRITES = {
    "resume": {"run"},
    "evaluate": {"run/evaluations"},
    "figures": {"run/figures"},
    "sample": {"run/samples"},
    "predict": {"run/predictions"},
    "compare": {"run/table.csv", "run/table.html"},
}
# What is done to a folder before each verb is called.
DAMAGES = {
    "nothing": lambda run: None,
    "other data": other_data,
    "no data": no_data,
    "no rows to predict": lambda run: (run.parent / "new.npz").unlink(),
    "rows of another shape": lambda run: overwritten("new.npz", "x")(run.parent),
    "the newest checkpoint damaged": newest("state/manifest.ocdbt"),
    "the newest seal damaged": newest("seal.json"),
    "all checkpoints damaged": every("state/manifest.ocdbt"),
    "a checkpoint of another run": lambda run: replaced_checkpoints(run),
    "no checkpoints": without("checkpoints"),
    "damaged metrics": broken("metrics.jsonl"),
    "damaged times": broken("timing.jsonl"),
    "no metrics": without("metrics.jsonl"),
    "a damaged run info": overwritten("run.json", "{"),
    "an empty run info": overwritten("run.json", "{}"),
    "no run info": without("run.json"),
    "a damaged configuration": overwritten("config.yaml", "a: [\n"),
    "an empty configuration": overwritten("config.yaml", ""),
    "no configuration": without("config.yaml"),
    "a setting of another type": lambda run: edited(run, "batch_size: 4", "batch_size: four"),
    "a setting out of range": lambda run: edited(run, "batch_size: 4", "batch_size: 99"),
    "another net": lambda run: edited(run, "hidden_sizes:\n  - 4", "hidden_sizes:\n  - 5"),
    "code that is not trusted": lambda run: edited(run, "runner.nets.mlp", "os.system"),
    "a missing donor": lambda run: edited(run, "init_from: null", "init_from: gone"),
    "missing features": lambda run: edited(run, "_target_: runner.evaluators.Means", FEATURES),
    "a link": lambda run: (run / "link").symlink_to("/"),
    "a file where results go": lambda run: in_place_of(RESULTS, run, Path.touch),
    "damaged results": lambda run: results(run, "{"),
    "results that are a list": lambda run: results(run, "[]"),
    "a folder where results go": lambda run: in_place_of(("table.csv", "table.html"), run, Path.mkdir),
}
RESULTS = ("evaluations", "samples", "predictions", "figures")
FEATURES = "_target_: runner.evaluators.Samples\n  features: {_target_: runner.runs.features, run: gone}"
KINDS = {
    "finished": [],
    "generative": ["scenario=gan", "dataset=npz", "evaluation.size=8", "net.hidden_sizes=[4]"],
    "seeds": ["seeds=2"],
    "sweep": ["-m", "seed=0,1", "hydra.sweep.dir=run"],
    "empty": None,
    "missing": None,
}


# Every damage to a run and to one of seeds; what differs for a run that samples; and each other kind as it is.
CASES = [
    *[(kind, damage) for kind in ("finished", "seeds") for damage in DAMAGES],
    *[("generative", damage) for damage in DAMAGES if "checkpoint" in damage or "results" in damage],
    *[(kind, "nothing") for kind in ("generative", "sweep", "empty", "missing")],
]


def edited(run, old, new):
    for path in run.rglob("config.yaml"):
        path.write_text(path.read_text().replace(old, new))


def in_place_of(names, run, create):
    shutil.rmtree(run / "figures", ignore_errors=True)
    for name in names:
        create(run / name)


def results(run, text):
    for path in [*run.rglob("checkpoints")]:
        (path.parent / "evaluations").mkdir()
        for step in (5, 10):
            (path.parent / "evaluations" / f"{step}.json").write_text(text)


def replaced_checkpoints(run):
    """Gives the last checkpoint of each run the name of a later step."""
    for path in run.rglob("checkpoints"):
        (path / "10").rename(path / "12")


def words_of(verb):
    if verb == "check":  # takes settings, and trains
        return ["dataset=gone"]
    parameters = inspect.signature(VERBS[verb]).parameters.values()
    return [GIVEN[kind.name] for kind in parameters if kind.default is kind.empty and is_positional(kind)]


def is_positional(kind):
    return kind.kind is kind.POSITIONAL_OR_KEYWORD


def wrong_settings(verb):
    """Yields arguments of a verb that it refuses, for each of its parameters."""
    words = words_of(verb)
    yield [*words, "nothing=1"]
    yield [*words, "one", "too", "many", "words"]
    yield words[:-1]
    for name, kind in inspect.signature(VERBS[verb]).parameters.items():
        if kind.default is not kind.empty:
            yield from ([*words, f"{name}={value}"] for value in ("nonsense", "-7", ""))
    if verb == "resume":
        longer = [*words, "steps=40"]
        yield from ([*longer, *more] for more in (["optimizer.klip=1"], ["net.hidden_sizes=[5]"], ["seed=1"]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Gives a folder by its kind, in whose folder `run` there is what a verb is called for."""
    folders = {}

    def of(kind):
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp(kind)
            with contextlib.chdir(folders[kind]):
                make(kind)
        return folders[kind]

    return of


def make(kind):
    rows()
    rows("new.npz", seed=2)
    if KINDS[kind] is not None:
        words = [word for word in WORDS if kind != "generative" or not word.startswith("scenario=")]
        main([*words, "steps=10", *KINDS[kind]])
    if kind == "empty":
        Path("run").mkdir()


def assert_only_own_results_change(verb, arguments, origin):
    """Calls a verb; brings the folder back if it has written."""
    before = files()
    code = 0
    try:
        main([verb, *arguments])
    except SystemExit as stopped:
        code = stopped.code
    after = files()
    changed = {str(path) for path in before | after if before.get(path) != after.get(path)}
    if code:
        assert changed == set(), (verb, arguments)
    allowed = WRITES.get(verb, set())
    own = {path for path in changed for place in allowed if path == place or path.startswith(f"{place}/")}
    assert changed - own <= ({"run"} if allowed else set()), (verb, arguments)
    assert code != 1, (verb, arguments)
    if changed:
        back(origin)


def back(origin):
    for path in Path().iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(origin, ".", symlinks=True, dirs_exist_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "damage"), CASES)
def test_no_verb_that_is_refused_changes_anything(kind, damage, trained, tmp_path_factory):
    origin = tmp_path_factory.mktemp("origin")
    shutil.copytree(trained(kind), origin, dirs_exist_ok=True)
    with contextlib.chdir(origin):
        DAMAGES[damage](origin / "run")
    back(origin)
    for verb in VERBS:
        assert_only_own_results_change(verb, words_of(verb), origin)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_with_a_wrong_setting_changes_nothing(verb, trained):
    origin = trained("finished")
    back(origin)
    for arguments in wrong_settings(verb):
        assert_only_own_results_change(verb, arguments, origin)
