"""The scenarios that have a configuration, in the forms that the laws of the protocol are tested in."""

import dataclasses
from pathlib import Path

import runner
from runner.compose.build import build
from runner.compose.command_line import compose
from runner.core import Dataset
from runner.datasets import Arrays
from runner.evaluators import Means
from runner.testing.subject import Subject

CONF = Path(runner.__file__).parent / "conf"
SCENARIOS = sorted(path.stem for path in (CONF / "scenario").glob("*.yaml"))
FORMS = {
    "as it is": [],
    "options on": ["debug=laws_{scenario}"],
    "an ensemble": ["debug=laws_{scenario}", "ensemble=2"],
}
# Programs take long to compile because they are deep, and long to run because they are wide.
SMALL = {
    "diffusion": ["net.size=8", "net.blocks=1", "net.embedding_size=4"],
    "language_model": ["net.size=8", "net.layers=1", "dataset.size=2000", "dataset.length=8"],
    "ppo": ["net.hidden_sizes=[8]", "scenario.rollout=16", "scenario.episodes=3"],
}
MEMBER = {  # what is off in each member of an ensemble, whose steps are the largest programs
    "diffusion": ["net.channels=[4]"],
    "gan": ["scenario.gradient_penalty=null"],
    "ode_gan": ["integrator@scenario.integrator=heun"],
}
DRAWN = ["dataset.batch_size=8", "dataset.held_out=20"]
UNIFORM = ["net.initializer=glorot"]  # a truncated normal takes longer to compile


def ragged(dataset: Dataset) -> Dataset:
    """Cuts arrays so that no batch divides them: 53 rows to train on and 21 held out, in batches of 8."""
    if not isinstance(dataset.train, Arrays):
        return dataset
    spec = dataset.spec
    rows = lambda source, size: {name: values[:size] for name, values in source.arrays.items()}
    held_out = Arrays(rows(dataset.validation, 21), 8, spec=spec, shuffle=False)
    return Dataset(Arrays(rows(dataset.train, 53), 8, spec=spec), held_out, held_out)


def subject(name: str, form: str) -> Subject:
    """Returns a scenario in one of its forms."""
    small = {
        "as it is": SMALL.get(name, ["net.hidden_sizes=[8]"]),
        "an ensemble": MEMBER.get(name),
    }
    options = [text.format(scenario=name) for text in FORMS[form]]
    data = DRAWN if name in ("gan", "ode_gan") else []
    initializer = UNIFORM if name not in ("diffusion", "language_model") else []
    sizes = small.get(form) or []
    built = build(compose([f"scenario={name}", "steps=40", *data, *options, *sizes, *initializer]))
    # An evaluator of sets that it compares takes few examples, whatever the options.
    compares = hasattr(built.evaluator, "size") and form == "as it is"
    evaluator = dataclasses.replace(built.evaluator, size=8) if compares else Means()
    return Subject(built.scenario, ragged(built.dataset), evaluator)
