"""Every setting of every part has an effect: another value changes what is computed, or is refused.

What is compared are traced programs, with the numbers in them, and batches: no field that is only stored.
"""

import itertools
import math
import struct
from pathlib import Path

import jax
import numpy as np
import polars
import pytest
from PIL import Image

from runner.compose.build import build
from runner.compose.choices import parts
from runner.compose.command_line import compose
from runner.compose.tree import is_reference, leaves
from runner.core.abilities import Sampling, batches_per_step, supports
from runner.errors import is_deliberate
from runner.evaluators import Means, Samples
from runner.testing.tracing import trace

MLP, CNN = "net.hidden_sizes=[8]", ["net=cnn", "net.channels=[4]", "net.hidden_sizes=[8]"]
TINY = {  # words with which a choice is used, and its programs are small
    "augment": [MLP, "dataset.batch_size=8"],
    "dataset=breast_cancer": [MLP],
    "dataset=csv": ["dataset.path=table.csv", "dataset.target=y", "dataset.batch_size=4", MLP],
    "dataset=diabetes": ["scenario=regression", MLP],
    "dataset=digits": [MLP],
    "dataset=grid": ["scenario=gan", MLP],
    "dataset=image_folder": ["dataset.path=photos", "dataset.size=8", "dataset.batch_size=4", MLP],
    "dataset=image_table": ["dataset.path=labels.csv", "dataset.size=8", "dataset.batch_size=4", MLP],
    "dataset=iris": [MLP],
    "dataset=line": ["scenario=regression", MLP],
    "dataset=markov": ["scenario=language_model", "dataset.size=4000", "net.size=8", "net.layers=1"],
    "dataset=memmap": [
        "dataset.path=x.npy",
        "dataset.target_path=y.npy",
        "dataset.batch_size=4",
        MLP,
    ],
    "dataset=mnist": ["dataset.path=mnist", "dataset.batch_size=4", MLP],
    "dataset=mog16": ["scenario=gan", MLP],
    "dataset=nothing": ["scenario=ppo", MLP],
    "dataset=npz": ["dataset.path=rows.npz", "dataset.batch_size=4", MLP],
    "dataset=parquet": ["dataset.path=table.parquet", "dataset.target=y", "dataset.batch_size=4", MLP],
    "dataset=quadratic": ["scenario=regression", MLP],
    "dataset=ring": ["scenario=gan", MLP],
    "dataset=stream": [
        "dataset.make=batches_of_effects.waves",
        "dataset.size=24",
        "dataset.validation=16",
        "dataset.test=8",
        MLP,
    ],
    "dataset=text": [
        "scenario=language_model",
        "dataset.path=text.txt",
        "dataset.length=8",
        "dataset.batch_size=4",
        "net.size=8",
        "net.layers=1",
    ],
    "dataset=wine": [MLP],
    "environment@scenario.environment=cartpole": ["scenario=ppo", MLP],
    "evaluation=samples": ["scenario=gan", MLP],
    "evaluation=means": [MLP],
    "loss=huber": ["scenario=regression", MLP],
    "net=cnn": CNN[1:],
    "net=image_discriminator": ["net.channels=[4,4]"],
    "net=image_generator": ["scenario=vae", "net@scenario.encoder=mlp", "net.channels=[4,4]"],
    "net=linear": [],
    "net=mlp": [MLP],
    "net=residual_mlp": ["scenario=diffusion", "net.size=8", "net.blocks=1"],
    "net=resnet": ["net.channels=[4]"],
    "net=transformer": ["scenario=language_model", "net.size=8", "net.layers=1"],
    "net=unet": ["scenario=diffusion", "net.channels=[4]", "net.blocks=1"],
    "optimizer": [MLP, "schedule=cosine"],
    "optimizer=adam": [MLP],
    "scenario=diffusion": ["net.size=8", "net.blocks=1"],
    "scenario=language_model": ["net.size=8", "net.layers=1", "dataset.size=4000"],
    "scenario": [MLP],
    "schedule": [MLP],
}
OTHER = {  # values where the guess is refused, or is none
    "activation": "tanh",
    "output_activation": "tanh",
    "initializer": "glorot",
    "normalization": "layer",
    "dropout": 0.5,
    "accumulate": 2,
    "clip": 0.5,
    "momentum": 0.5,
    "horizon": 7,
    "groups": "{w:{learning_rate:0.5}}",
    "noise": 0.5,
    "split_seed": 1,
    "gradient_penalty": 10,
    "image_weight": 0.5,
    "boundaries": "[0.25]",
    "max_length": 300,
    "diffusion_steps": 3,
    "dataset.batch_size": 5,
    "dataset.task": "regression",
    "dataset.inputs": "x2",
    "dataset.target": "z",
    "scenario.class_weights": "balanced",
    "evaluation.metrics": "[runner.metrics.auc]",
    "evaluation.per_target": "[runner.metrics.mae]",
    "dataset.channels": 1,
    "dataset.columns": "[a]",
    "dataset.drop": "[b]",
    "dataset.categories": "[z]",
    "dataset.missing": "zero",
    "dataset.unseen": "other",
    "dataset.weights": "z",
    "dataset.group": "z",
    "dataset.time": "a",
    "dataset.encoding": "utf-16",
    "dataset.delimiter": ";",
    "dataset.decimal": ";",
    "dataset.target_path": "z.npy",
    "dataset.settings": "{scale:2.0}",
    "dataset.classes": 3,
    "dataset.tokenizer": "bytes",
    "dataset.field": "body",
    "dataset.normalize": "NFC",
    "dataset.boundaries": True,
    "dataset.cache": "tokens.npy",
    "dataset.labels": "none",
    "dataset.image": "second",
    "dataset.folder": "other",
}
WITHOUT_EFFECT = {  # choice, and path of a setting -> why nothing follows from it
    ("dataset=image_folder", "dataset.workers"): "processes that decode the same rows",
    ("dataset=csv", "dataset.indicator"): "no cell of the table is missing",
    ("dataset=csv", "dataset.deduplicate"): "all rows of the table differ",
    ("dataset=parquet", "dataset.indicator"): "no cell of the table is missing",
    ("dataset=parquet", "dataset.deduplicate"): "all rows of the table differ",
    ("dataset=stream", "dataset.ahead"): "batches that are prefetched",
    ("dataset=text", "dataset.field"): "of .jsonl files, see tests/datasets/test_text.py",
    ("dataset=image_folder", "dataset.draft"): "these images are no JPEGs",
    ("dataset=image_table", "dataset.workers"): "processes that decode the same rows",
    ("dataset=image_table", "dataset.draft"): "these images are no JPEGs",
    ("dataset=npz", "dataset.relabel"): "the classes of these rows are 0 and 1",
    ("augment=color", "augment.color.saturation"): "these images are grey",
    ("optimizer=adam", "optimizer.horizon"): "follows steps, and a constant schedule spans none",
}
NEED_A_RUN = ("evaluation.features",)  # another run, as in tests/evaluators/test_features.py
NEED_A_LIBRARY = (
    "grain",
    "hf",
    "hf_streaming",
    "oxford_flowers102",
    "tfds",
    "torch",
    "webdataset",
)  # tests/integrations
SLOTS = {"environment": "environment@scenario.environment"}  # groups that the default run does not follow
CHOICES = [
    f"{SLOTS.get(group, group)}={name}"
    for group, choices in parts().items()
    for name, part in choices.items()
    if group not in ("experiment", "debug")
    and (group, name) != ("evaluation", "features")
    and not (group == "dataset" and name in NEED_A_LIBRARY)
    and part["settings"].keys() - {"_target_", "_partial_"}
]


def words_of(choice):
    """Returns the words of a small run that uses a choice, and the path of its settings."""
    group, _, _ = choice.partition("=")
    words = TINY.get(choice, TINY.get(group.partition("@")[0], [MLP]))
    return [choice, *words, "steps=40"], group.rpartition("@")[2]


def settings_under(config, path):
    """Returns the settings of a part: path -> value."""
    found = {key: value for key, value in leaves(config) if key.startswith(f"{path}.")}
    hidden = lambda key, value: (
        key.rpartition(".")[2].startswith("_") or is_reference(value) or key in NEED_A_RUN
    )
    return {key: value for key, value in found.items() if not hidden(key, value)}


def another(key, value):
    """Returns another valid value of a setting."""
    if key == "dataset.path":
        return f"other/{value}"
    for known in (key, key.rpartition(".")[2]):
        if known in OTHER and value != OTHER[known]:
            return OTHER[known]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 2 or 1
    if isinstance(value, float):
        return value / 2 or 0.5
    if isinstance(value, list) and value:
        return [each * 2 for each in value]
    raise AssertionError(f"{key}={value!r}: name another value in OTHER")


def facts(words):
    """Yields what a configuration computes, the cheap facts first."""
    scenario, dataset, _, evaluator = build(compose(words))
    for source in dataset:
        yield None if source.size is None else math.ceil(source.size / source.batch_size)
        for number in range(2):
            key = jax.random.key(number)
            item = jax.tree.map(lambda rows: rows[0], source.feed(key, number, 1))
            yield jax.device_get(source.batch(key, item))
    if isinstance(evaluator, Samples):
        yield evaluator.size
    if isinstance(evaluator, Means):
        yield [
            [function.__name__ for function in functions]
            for functions in (evaluator.metrics, evaluator.per_target)
        ]
    spec, key = dataset.train.spec, jax.random.key(0)
    first = trace(scenario.init, key, spec)
    yield program_of(first)
    state = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), first.shapes)
    rows = lambda *lead: {
        name: jax.ShapeDtypeStruct(lead + shape, dtype) for name, (shape, dtype) in spec.features.items()
    }
    count, size = batches_per_step(scenario), dataset.train.batch_size
    yield program_of(trace(scenario.step, key, state, rows(size) if count is None else rows(count, size)))
    yield program_of(trace(scenario.evaluate, key, state, rows(dataset.validation.batch_size)))
    if supports(scenario, Sampling):
        yield program_of(trace(lambda key, state: scenario.sample(key, state, 4), key, state))


class Replayed:
    """An iterator's items, each computed when it is first needed, that can be iterated again."""

    def __init__(self, items):
        self._items, self._seen = items, []

    def __iter__(self):
        yield from self._seen
        for item in self._items:
            self._seen.append(item)
            yield item


def program_of(traced):
    """Returns the text of a program and the arrays in it."""
    return traced.program, [np.asarray(each) for each in traced.constants]


def same(one, other):
    """Returns whether two facts are equal."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    return all(
        np.shape(a) == np.shape(b) and np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def without_effect(choice):
    """Returns the settings of a choice of which another value changes nothing and is accepted."""
    words, path = words_of(choice)
    expected, ineffective = Replayed(facts(words)), []
    for key, value in settings_under(compose(words), path).items():
        change = [word for word in words if not word.startswith(f"{key}=")]
        changed = [*change, f"{key}={another(key, value)}".replace(" ", "")]
        try:
            if all(same(*pair) for pair in zip(facts(changed), expected, strict=True)):
                ineffective.append(key)
        except ValueError as error:
            if not is_deliberate(error):
                raise
    return ineffective


BATCHES = """
import itertools
import numpy as np

def waves(split, start, scale=1.0):
    for number in itertools.count(start):
        x = np.random.default_rng([len(split), number]).normal(size=(8, 2))
        yield {"x": scale * x, "y": np.arange(8) % 2}
"""


@pytest.fixture
def files(monkeypatch):
    """Small files of data, and others of the same kinds."""
    Path("batches_of_effects.py").write_text(BATCHES)
    monkeypatch.syspath_prepend(Path.cwd())
    numbers = np.random.default_rng(0)
    x, y, z = numbers.normal(size=(64, 4)), np.arange(64) % 2, np.arange(64) // 2 % 2
    for name, rows in ((".", x), ("other", x[::-1])):
        Path(name).mkdir(exist_ok=True)
        lines = [f"{a},{b},{c},{d}" for (a, b, *_), c, d in zip(rows, y, z, strict=True)]
        Path(name, "table.csv").write_text("\n".join(["a,b,y,z", *lines]))
        polars.read_csv(Path(name, "table.csv")).write_parquet(Path(name, "table.parquet"))
        np.savez(Path(name, "rows.npz"), x=rows, x2=rows + 1, y=y, z=z)
        for part, array in {"x": rows, "y": y, "z": z}.items():
            np.save(Path(name, f"{part}.npy"), array)
        Path(name, "text.txt").write_text(
            "".join(chr(97 + int(9 * abs(value)) % 26) for value in rows.ravel()) * 4 + "e\u0301"
        )
        images = numbers.integers(0, 256, (64, 8, 8, 3), np.uint8)
        for number, image in enumerate(images):
            file = Path(name, "photos", "ab"[number % 2], f"{number}.png")
            file.parent.mkdir(exist_ok=True, parents=True)
            Image.fromarray(image).save(file)
        named = [
            f"photos/{'ab'[n % 2]}/{n}.png,photos/{'ba'[n % 2]}/{n ^ 1}.png,{n % 2},{n // 2 % 2}"
            for n in range(64)
        ]
        Path(name, "labels.csv").write_text("\n".join(["image,second,label,z", *named]))
        Path(name, "mnist").mkdir()
        written = {
            "images-idx3": numbers.integers(0, 256, (64, 28, 28), np.uint8),
            "labels-idx1": y.astype(np.uint8),
        }
        for part, (kind, array) in itertools.product(("train", "t10k"), written.items()):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            Path(name, "mnist", f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_of_a_part_has_an_effect(choice, files):
    assert without_effect(choice) == [key for of, key in WITHOUT_EFFECT if of == choice]


def test_every_setting_of_a_scenario_and_its_data_has_an_effect():
    assert without_effect("scenario=supervised") == without_effect("dataset=iris") == []
