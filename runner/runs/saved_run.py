"""A run directory opened again: its configuration, its objects, its states."""

import functools
import inspect
from pathlib import Path
from typing import Any

import jax
import numpy as np

from runner.compose.build import fit, make
from runner.compose.checks import check
from runner.core import Figures, Metrics, Spec
from runner.loop.compiled import Keys
from runner.loop.partition import join, split
from runner.process.compile_cache import release_programs
from runner.storage.checkpoints import Checkpoints
from runner.storage.run_directory import Directory

SPLITS = ("train", "validation", "test")
AT_ONCE = 250  # examples whose features are asked for in one call


def features(run: str, step: int | None = None) -> "Features":
    """Gives what a run's net makes of x, to compare sets of x by.

    Args:
        run: its directory.
        step: of the checkpoint; the best where none is named.

    Raises:
        ValueError: it holds no run, or one that neither encodes nor predicts.
    """
    opened = open_run(run)
    if not hasattr(opened.scenario, "features"):
        opened.require("predict")
    return Features(opened, opened.step(step))


class Features:
    """The features of a run: an autoencoder's codes, or else what the scenario predicts, such as logits.

    Attributes:
        shape: of each x.
    """

    def __init__(self, run: "Run", step: int):
        self._scenario, self._state = run.scenario, run.state(step)
        self.shape = run.spec.shape("x")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Gives features `[N, F]` of x `[N, ...]`, some at a time: a net takes far more memory than its outputs."""
        ability = "features" if hasattr(self._scenario, "features") else "predict"
        ask = functools.partial(_ask, ability, *split(self._scenario), self._state)
        blocks = np.split(np.asarray(x), range(AT_ONCE, len(x), AT_ONCE))
        return np.concatenate([np.asarray(ask(block)).reshape(len(block), -1) for block in blocks])


def open_run(path: str | Path, trust_code: bool = False) -> "Run":
    """Opens a run directory, from anywhere.

    Args:
        path: of the directory.
        trust_code: build whatever its configuration names, and not installed parts alone.

    Raises:
        ValueError: it holds no run, or one that names code which is not trusted.
    """
    return Run(path, trust_code)


class Run:
    """A run, as an object: for the verbs of the command line and for notebooks.

    Attributes:
        path: of the directory.
        config: as it was resolved.
        info: status, versions, device, data, how it ended.
        records: the rows of its record.
        spec: what its data said of itself (statistics aside, which are in the state).
    """

    def __init__(self, path: str | Path, trust_code: bool = False):
        release_programs()
        directory, config = Directory(path), Directory(path).vetted(trust_code)
        self.path, self.config, self.info = directory.path, check(config, set(config)), directory.info
        if self.config["seeds"] is not None:
            first = self.path / "members" / "0"
            raise ValueError(
                f"{self.path}: holds {self.config['seeds']} runs, one of each seed; name one, such as {first}"
            )
        self.records, self.spec = directory.records, _spec(directory)
        self.checkpoints = Checkpoints(self.path / "checkpoints", self.config["loop"]["mode"])
        self.keys = Keys.of(jax.random.key(self.config["seed"]))

    @functools.cached_property
    def scenario(self) -> Any:
        """The scenario, with its nets finished; no data is read."""
        return fit(self.config, make(self.config, "scenario"), self.spec)

    @functools.cached_property
    def dataset(self) -> Any:
        """The dataset, read again."""
        return make(self.config, "dataset")

    def step(self, step: int | None = None) -> int:
        """Gives the step asked for, or the best, or the last where no metric was followed.

        Raises:
            ValueError: there is no such checkpoint.
        """
        steps = self.checkpoints.steps
        if not steps:
            raise ValueError(f"{self.path}: has no checkpoint yet")
        if step is not None and step not in steps:
            raise ValueError(
                f"step: there is no checkpoint of step {step}; there are {', '.join(map(str, steps))}"
            )
        return step or self.checkpoints.best or steps[-1]

    def state(self, step: int | None = None) -> Any:
        """Restores the state of a step: the best, where none is named."""
        template = jax.eval_shape(self.scenario.init, self.keys.init, self.spec)
        found = self.checkpoints.restore(template, self.step(step))
        assert found is not None  # `step` has refused a run without checkpoints
        return found[1]

    def evaluate(self, split: str = "validation", step: int | None = None) -> tuple[Metrics, Figures]:
        """Judges a state; on the validation split this gives the very numbers that the run recorded at that step."""
        if split not in SPLITS:
            raise ValueError(f"split: {split!r} is none of {', '.join(SPLITS)}")
        key = self.keys.evaluate_at(self.step(step))
        if split != "validation":
            key = jax.random.fold_in(key, SPLITS.index(split))
        evaluator = make(self.config, "evaluation")
        return evaluator(key, self.scenario, self.state(step), getattr(self.dataset, split))

    def require(self, method: str) -> None:
        """Raises ValueError where the run's scenario has no such method."""
        if not hasattr(self.scenario, method):
            raise ValueError(f"{self.path}: its scenario, {type(self.scenario).__name__}, cannot {method}")

    def sample(self, n: int = 64, step: int | None = None, seed: int = 0, **settings: Any) -> np.ndarray:
        """Draws `[n, ...]`; equal seeds give equal samples.

        Args:
            n: how many.
            step: of the checkpoint; the best where none is named.
            seed: of what is drawn.
            settings: the scenario's own, such as `diffusion_steps` or `temperature`; a `prompt` may be a text.

        Raises:
            ValueError: the scenario does not generate, has no such setting or refuses it.
        """
        self.require("sample")
        if isinstance(settings.get("prompt"), str):
            settings["prompt"] = self._tokens(settings["prompt"])
        try:
            inspect.signature(self.scenario.sample).bind(None, None, n, **settings)
        except TypeError as error:
            given = ", ".join(f"{name}={value}" for name, value in settings.items())
            raise ValueError(f"{type(self.scenario).__name__} cannot sample with {given}: {error}") from error
        arguments = (jax.random.key(seed), self.state(step), n, tuple(settings.items()))
        return np.asarray(_sample(*split(self.scenario), *arguments))

    def texts(self, tokens: np.ndarray) -> list[str]:
        """Spells tokens `[n, length]`."""
        return ["".join(self.spec.vocabulary[token] for token in row) for row in tokens]

    def _tokens(self, text: str) -> tuple[int, ...]:
        unknown = sorted(set(text) - set(self.spec.vocabulary))
        if unknown:
            raise ValueError(f"prompt: {unknown[0]!r} is not in the vocabulary of this run")
        return tuple(self.spec.vocabulary.index(character) for character in text)

    def predict(self, x: np.ndarray, step: int | None = None) -> np.ndarray:
        """Gives outputs `[B, ...]` for inputs `[B, ...]`.

        Raises:
            ValueError: the scenario does not predict, or the inputs have another shape than the run's.
        """
        self.require("predict")
        if x.shape[1:] != self.spec.shape("x"):
            raise ValueError(
                f"x: each has shape {x.shape[1:]}; the net of this run takes {self.spec.shape('x')}"
            )
        return np.asarray(_ask("predict", *split(self.scenario), self.state(step), x))


def _spec(directory: Directory) -> Spec:
    try:
        return Spec.from_json(directory.info.spec or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{directory.path / 'run.json'}: does not describe the run's data ({what})"
        ) from error


@functools.partial(jax.jit, static_argnums=(0, 4, 5))
def _sample(rest: Any, numbers: tuple, key: Any, state: Any, n: int, settings: tuple):
    return join(rest, numbers).sample(key, state, n, **dict(settings))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _ask(ability: str, rest: Any, numbers: tuple, state: Any, x: Any):
    return getattr(join(rest, numbers), ability)(state, x)
