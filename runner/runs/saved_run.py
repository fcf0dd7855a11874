"""Saved runs: the configuration, the objects and the states in a run directory."""

import functools
import inspect
from collections.abc import Hashable, Mapping
from pathlib import Path

import jax
import numpy as np

from runner.compose.build import fit, make
from runner.compose.checks import check
from runner.compose.paths import replaced
from runner.compose.tree import Node
from runner.compose.trust import trusting_all, trusts_all
from runner.core import Dataset, Figures, Key, Metrics, PyTree, Scenario, Spec
from runner.core.abilities import Ability, Encoding, Predicting, Sampling, members, supports
from runner.core.vocabulary import decode, encode
from runner.errors import is_in_users_code
from runner.loop.compiled import Keys
from runner.loop.partition import join, split
from runner.process.compile_cache import release_programs
from runner.runs.predictions import computed, predicted
from runner.runs.provenance import digest, digest_like, versions
from runner.storage.checkpoints import Checkpoints
from runner.storage.run_directory import Directory

SPLITS = ("train", "validation", "test")


def features(run: str, step: int | None = None) -> "Features":
    """Returns the features that a run's net computes of x, in which sets of x can be compared.

    Args:
        run: the run directory.
        step: the step of the checkpoint; by default the best.

    Raises:
        ValueError: the directory holds no run, or one that neither encodes nor predicts.
    """
    opened = open_run(run)
    if not supports(opened.scenario, Encoding):
        opened.require(Predicting)
    return Features(opened, opened.step(step))


class Features:
    """The features of a run: the codes of an autoencoder, or else the predictions of the scenario, such as logits.

    Attributes:
        shape: the shape of each x.
    """

    def __init__(self, run: "Run", step: int):
        self._scenario, self._state = run.scenario, run.state(step)
        self.shape = run.spec.shape("x")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns features `[N, F]` of x `[N, ...]`, in blocks."""
        method = "features" if supports(self._scenario, Encoding) else "predict"
        return computed(method, self._scenario, self._state, x).reshape(len(x), -1)


def open_run(
    path: str | Path,
    trust_code: bool = False,
    paths: Mapping[str, str] | None = None,
    allow_other_data: bool = False,
) -> "Run":
    """Opens a run directory; it may have been written on another machine.

    Args:
        path: the path of the directory.
        trust_code: build whatever its configuration names, and not only installed parts.
        paths: other paths of its settings, such as `{"dataset.path": "new.csv"}`. A path of the dataset may hold other
            data than those of the run.
        allow_other_data: evaluate the data although they have changed since the run began.

    Raises:
        ValueError: the directory holds no run, or one that names untrusted code, or it has no such path.
    """
    return Run(path, trust_code, paths, allow_other_data)


class Run:
    """A saved run as an object, for the verbs of the command line and for notebooks.

    Attributes:
        path: the path of the directory.
        config: the resolved configuration.
        info: the run info: status, versions, device, data, and how the run ended.
        records: the rows of `metrics.jsonl`.
        spec: the spec of its data, without statistics, which are in the state.
    """

    def __init__(
        self,
        path: str | Path,
        trust_code: bool = False,
        paths: Mapping[str, str] | None = None,
        allow_other_data: bool = False,
    ):
        release_programs()
        self._kept: tuple[Hashable, PyTree] | None = None
        self._allows_other_data = allow_other_data or any(key.startswith("dataset.") for key in paths or ())
        self._trusts_all = trust_code or trusts_all()
        directory, config = Directory(path), Directory(path).vetted(trust_code)
        self.path, self.info = directory.path, directory.info
        self.config = replaced(check(config, set(config)), paths or {})
        if self.config["seeds"] is not None:
            first = self.path / "members" / "0"
            raise ValueError(
                f"{self.path}: holds {self.config['seeds']} runs, one of each seed; name one, such as {first}"
            )
        self.records, self.spec = directory.records, _spec(directory)
        self.checkpoints = Checkpoints(self.path / "checkpoints", self.config["loop"]["mode"])
        self.keys = Keys.of(jax.random.key(self.config["seed"]))

    @functools.cached_property
    def scenario(self) -> Scenario[PyTree]:
        """The scenario, with its nets fitted to the spec; no data is read."""
        return fit(self.config, self._made("scenario"), self.spec)

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The dataset, read from its source.

        Raises:
            ValueError: it has changed since the run began, or it does not fit the net of the run.
        """
        dataset = self._made("dataset")
        now = digest_like(self.info.data, dataset)
        if self.info.data in (None, now):
            return dataset
        if not self._allows_other_data:
            raise ValueError(
                f"{self.path}: its data have changed since it began (digest {self.info.data[:8]} there, {now[:8]} now);"
                " restore them, name other data by dataset.path=..., or evaluate these by allow=data"
            )
        before, after = self.spec.to_json(), dataset.spec.to_json()
        for name in before:
            if before[name] != after.get(name):
                raise ValueError(
                    f"dataset: does not fit the net of this run: its {name} are {after.get(name)!s:.100},"
                    f" and {before[name]!s:.100} in the run"
                )
        return dataset

    def evaluated(self, split: str, step: int) -> dict[str, object]:
        """Returns what an evaluation evaluates: step, weights, split, rows and digest of the data, and versions."""
        source = getattr(self.dataset, split)
        return {
            "step": step,
            "weights": self.info.weights,
            "split": split,
            "rows": source.size or source.batch_size,
            "data": digest(self.dataset),
            "versions": versions(),
        }

    @property
    def has_own_data(self) -> bool:
        """Whether the dataset is the one with which the run was trained."""
        return self.info.data in (None, digest_like(self.info.data, self.dataset))

    def _made(self, part: str) -> Node:
        with trusting_all(self._trusts_all):  # a part may open another run
            return make(self.config, part)

    def step(self, step: int | None = None) -> int:
        """Returns the given step, or by default the best one, or the last one if `loop.best` names no metric.

        Raises:
            ValueError: the checkpoint does not exist.
        """
        steps = self.checkpoints.steps
        if not steps:
            raise ValueError(f"{self.path}: has no checkpoint yet")
        if step is not None and step not in steps:
            raise ValueError(
                f"step: there is no checkpoint of step {step}; there are {', '.join(map(str, steps))}"
            )
        return step or self.checkpoints.best or steps[-1]

    def state(self, step: int | None = None) -> PyTree:
        """Restores the state of a step; by default the best."""
        template = jax.eval_shape(self.scenario.init, self.keys.init, self.spec)
        restored = self.checkpoints.restore(template, self.step(step))
        assert restored is not None  # `step` raises an error for a run without checkpoints
        return restored[1]

    def kept_state(self, step: int | None = None) -> PyTree:
        """Returns the state of a step as `state` does, and keeps the last one: it must not be donated."""
        step = self.step(step)
        saved = (self.checkpoints.directory / str(step)).stat()
        key = (step, saved.st_ino, saved.st_mtime_ns)  # another run may have replaced it
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # which frees the memory of the other state
            self._kept = (key, self.state(step))
        return self._kept[1]

    def evaluate(self, split: str = "validation", step: int | None = None) -> tuple[Metrics, Figures]:
        """Evaluates a state; on the validation split the metrics equal those that the run recorded at that step."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is none of {', '.join(SPLITS)}")
        key = self.keys.evaluate_at(self.step(step))
        if split != "validation":
            key = jax.random.fold_in(key, SPLITS.index(split))
        evaluator = self._made("evaluation")
        return evaluator(key, self.scenario, self.state(step), getattr(self.dataset, split))

    def require(self, ability: type[Ability]) -> Ability:
        """Returns the scenario of the run, if it has an ability.

        Raises:
            ValueError: it does not.
        """
        if not supports(self.scenario, ability):
            name = type(self.scenario).__name__
            raise ValueError(f"{self.path}: its scenario, {name}, cannot {' or '.join(members(ability))}")
        return self.scenario

    def sample(self, n: int = 64, step: int | None = None, seed: int = 0, **settings: object) -> np.ndarray:
        """Draws samples `[n, ...]`; equal seeds draw equal samples.

        Args:
            n: the number of samples.
            step: the step of the checkpoint; by default the best.
            seed: the seed of the samples.
            settings: those of the scenario, such as `diffusion_steps` or `temperature`; a `prompt` may be a text.

        Raises:
            ValueError: the scenario does not generate, or does not have a setting or rejects its value.
        """
        scenario = self.require(Sampling)
        if isinstance(prompt := settings.get("prompt"), str):
            settings["prompt"] = self._tokens(prompt)
        arguments = (jax.random.key(seed), self.kept_state(step), n, tuple(settings.items()))
        try:
            inspect.signature(scenario.sample).bind(*arguments[:3], **settings)
            return np.asarray(_sample(*split(scenario), *arguments))
        except TypeError as error:
            if is_in_users_code(error):
                raise
            given = ", ".join(f"{name}={value}" for name, value in settings.items())
            raise ValueError(f"{type(self.scenario).__name__} cannot sample with {given}: {error}") from error

    def texts(self, tokens: np.ndarray) -> list[str]:
        """Returns the texts of tokens `[n, length]`."""
        return [decode(self.spec.vocabulary, row) for row in tokens]

    def _tokens(self, text: str) -> tuple[int, ...]:
        try:
            return encode(self.spec.vocabulary, text)
        except ValueError as error:
            raise ValueError(f"prompt: {error}") from None

    def predict(self, x: object, step: int | None = None, strict: bool = False) -> np.ndarray:
        """Returns the outputs of the scenario `[N, ...]`, such as logits, of each of N rows.

        Args:
            x: rows of numbers `[N, ...]`; a data frame of pandas or polars with the columns of the run's table; the
                path of a table, an npz, an image, a folder of images or a text; or a list of images or of texts.
            step: the step of the checkpoint; by default the best.
            strict: refuse rows that cannot be read, which otherwise have NaN as outputs and are logged.

        Raises:
            ValueError: the scenario does not predict, the input cannot be read, its rows do not have the shape of
                those of the run's data, or none of them can be read.
        """
        self.require(Predicting)
        return np.concatenate([block.outputs for block in predicted(self, x, step, strict)])


def _spec(directory: Directory) -> Spec:
    try:
        return Spec.from_json(directory.info.spec or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{directory.path / 'run.json'}: does not describe the run's data ({what})"
        ) from error


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def _sample(structure: Hashable, numeric_leaves: tuple, key: Key, state: PyTree, n: int, settings: tuple):
    return join(structure, numeric_leaves).sample(key, state, n, **dict(settings))
