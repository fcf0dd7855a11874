"""Shows that everything learns: trains each scenario and experiment on three seeds and compares it with a baseline.

    python benchmarks/learn.py                                    # all
    python benchmarks/learn.py scenario=gan experiment=gan_ring   # only these

The best state of each run is evaluated on the test split; the baselines are computed here, on the same rows. Prints a
line as soon as it and those before it are known. Exits with 1 if the median over the seeds does not reach its limit.
"""

import contextlib
import io
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from runner import metrics, open_run
from runner.compose.choices import parts
from runner.compose.command_line import compose
from runner.environments import CartPole
from runner.evaluators.means import passes
from runner.process.workers import end_with_parent
from runner.runs.training import Training

SEEDS = (0, 1, 2)
HIGHER_IS_BETTER = ("accuracy", "r2", "modes", "high_quality", "return")
LINE = "{:<28}{:<17}{:>9}{:>9}{:>9}{:>10}{:>12}  {}"


def rows(source: Any) -> tuple[np.ndarray, Any]:
    """Returns x as vectors [N, D], and y [N, ...] or None, of one pass over a source."""
    key = jax.random.key(0)
    batches = [
        {name: values[:count] for name, values in source.batch(jax.random.fold_in(key, number), item).items()}
        for number, item, count in passes(key, source)
    ]
    arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return arrays["x"].reshape(source.size, -1), arrays.get("y")


def logistic_regression(data: Any) -> float:
    """Returns the accuracy of logistic regression."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(*rows(data.train)).score(*rows(data.test))


def ridge_regression(data: Any) -> float:
    """Returns the R2 of ridge regression."""
    return make_pipeline(StandardScaler(), RidgeCV()).fit(*rows(data.train)).score(*rows(data.test))


def exact(data: Any) -> float:
    """Returns the error of the formula that generated the data, which has no noise."""
    return 0.0


def real_distance(data: Any) -> float:
    """Returns the energy distance between real examples and other real ones: about 0, with either sign."""
    return float(metrics.energy_distance(rows(data.validation)[0], rows(data.test)[0]))


def real_modes(data: Any) -> float:
    """Returns the number of modes that real points cover."""
    return float(metrics.modes_covered(rows(data.test)[0], data.spec.modes))


def real_quality(data: Any) -> float:
    """Returns the share of the real points that are close to a mode."""
    return float(metrics.high_quality(rows(data.test)[0], data.spec.modes))


def gaussian_fit(data: Any) -> float:
    """Returns the energy distance of a normal distribution fitted to the training rows."""
    train, _ = rows(data.train if data.train.size else data.validation)
    drawn = np.random.default_rng(0).multivariate_normal(train.mean(0), np.cov(train.T), 2000)
    return float(metrics.energy_distance(drawn, rows(data.test)[0]))


def shuffled_pixels(data: Any) -> float:
    """Returns the energy distance of training images in which each pixel is permuted over the images."""
    train, _ = rows(data.train)
    return float(
        metrics.energy_distance(np.random.default_rng(0).permuted(train, axis=0), rows(data.test)[0])
    )


def principal_components(data: Any) -> float:
    """Returns the squared error of eight principal components."""
    train, test = rows(data.train)[0], rows(data.test)[0]
    model = PCA(8).fit(train)
    return float(np.square(model.inverse_transform(model.transform(test)) - test).mean())


def independent_pixels(data: Any) -> float:
    """Returns the nats per image if pixels are independent, each with its own mean."""
    mean, test = rows(data.train)[0].mean(0).clip(1e-3, 1 - 1e-3), rows(data.test)[0]
    return float(-(test * np.log(mean) + (1 - test) * np.log(1 - mean)).sum(1).mean())


def bigrams(data: Any) -> float:
    """Returns the nats per letter, given the previous letter, by their counts in training."""
    size = len(data.spec.vocabulary)
    counts, tokens = np.ones((size, size)), np.asarray(data.train.tokens)
    np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
    chances, test = counts / counts.sum(1, keepdims=True), np.asarray(data.test.tokens)
    return float(-np.log(chances[test[:-1], test[1:]]).mean())


def random_actions(data: Any) -> float:
    """Returns the number of steps that the pole stays up under random actions."""
    world, key = CartPole(), jax.random.key(0)

    def play(key):
        def push(state, key):
            state, _, fallen, _ = world.step(key, state, jax.random.randint(key, (), 0, 2))
            return state, fallen

        return jnp.argmax(jax.lax.scan(push, world.reset(key), jax.random.split(key, 500))[1]) + 1

    return float(jax.vmap(play)(jax.random.split(key, 1000)).mean())


class Task(NamedTuple):
    """A run, its metric, and how much better than the baseline the median must be."""

    command: str
    metric: str
    baseline: Callable[[Any], float]
    margin: float


TASKS = [
    Task("scenario=supervised", "accuracy", logistic_regression, 0.0),
    Task("scenario=regression", "r2", ridge_regression, -0.05),
    Task("scenario=gan", "modes", real_modes, 0.0),
    Task("scenario=gan", "energy_distance", real_distance, -0.01),
    Task("scenario=diffusion", "energy_distance", shuffled_pixels, 0.01),
    Task("scenario=ode_gan", "energy_distance", gaussian_fit, -0.02),
    Task("scenario=autoencoder", "squared_error", principal_components, 0.005),
    Task("scenario=vae", "loss", independent_pixels, 2.0),
    Task("scenario=language_model", "loss", bigrams, 0.9),
    Task("scenario=language_model", "excess", exact, -0.12),
    Task("scenario=ppo", "return", random_actions, 400.0),
    Task("ensemble=5", "accuracy", logistic_regression, 0.0),
    Task("experiment=diffusion_digits", "energy_distance", shuffled_pixels, 0.01),
    Task("experiment=diffusion_ring", "modes", real_modes, 0.0),
    Task("experiment=diffusion_ring", "energy_distance", gaussian_fit, 0.02),
    Task("experiment=ode_gan_mog16", "modes", real_modes, -8.0),
    Task("experiment=ode_gan_mog16", "energy_distance", gaussian_fit, 0.0),
    Task("experiment=digits_mlp", "accuracy", logistic_regression, 0.0),
    Task("experiment=digits_cnn", "accuracy", logistic_regression, 0.01),
    Task("experiment=diabetes", "r2", ridge_regression, -0.03),
    Task("experiment=line", "rmse", exact, -0.02),
    Task("experiment=quadratic", "rmse", exact, -0.15),
    Task("experiment=gan_ring", "modes", real_modes, 0.0),
    Task("experiment=gan_ring", "high_quality", real_quality, -0.2),
    Task("experiment=gan_grid", "modes", real_modes, -2.0),
    Task("experiment=gan_grid", "energy_distance", real_distance, -0.02),
    Task("experiment=gan_digits", "energy_distance", real_distance, -0.015),
    Task("dataset=iris", "accuracy", logistic_regression, -0.05),
    Task("dataset=wine", "accuracy", logistic_regression, -0.05),
    Task("dataset=breast_cancer", "accuracy", logistic_regression, -0.02),
]


def train(command: str, seed: int) -> dict[str, float]:
    """Trains in a temporary run directory, as the command line does, and evaluates the run on the test split."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        Training(compose([*command.split(), f"seed={seed}"])).run(folder)
        return open_run(folder).evaluate("test")[0]


def reference(task: Task) -> float:
    """Computes the baseline of a task."""
    return task.baseline(Training(compose(task.command.split())).parts.dataset)


def report(task: Task, values: list[float], baseline: float) -> bool:
    """Prints the line of a task, and returns whether it passed."""
    median = statistics.median(values)
    if task.metric in HIGHER_IS_BETTER:
        limit, sign = baseline + task.margin, ">="
        passed = median >= limit
    else:
        limit, sign = baseline - task.margin, "<="
        passed = median <= limit
    numbers = (f"{number:.4f}" for number in (median, min(values), max(values), baseline))
    print(
        LINE.format(task.command, task.metric, *numbers, f"{sign} {limit:.4f}", "pass" if passed else "FAIL")
    )
    return passed


def refuse_forgotten() -> None:
    """Exits with an error if a scenario or an experiment has no task."""
    known, measured = parts(), {task.command for task in TASKS}
    named = {f"{group}={name}" for group in ("scenario", "experiment") for name in known[group]}
    if forgotten := sorted(named - measured):
        sys.exit(f"no task measures {', '.join(forgotten)}")


def chosen(commands: list[str]) -> list[Task]:
    """Returns the tasks of some commands, or all if there are none; exits with an error if one has no task."""
    known = {task.command for task in TASKS}
    if unknown := [command for command in commands if command not in known]:
        sys.exit(f"no task measures {', '.join(unknown)}; name some of {', '.join(sorted(known))}")
    return [task for task in TASKS if not commands or task.command in commands]


def main() -> None:
    """Trains the runs of the chosen tasks, or of all, and prints the table."""
    refuse_forgotten()
    tasks = chosen(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # at once, instead of after all runs that have begun
    sys.stdout.reconfigure(line_buffering=True)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # for the workers: many small runs at once
    began = time.monotonic()
    runs, baselines = {}, []
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        for task in tasks:  # in the order of the table, so that its first lines are known first
            if task.command not in runs:
                runs[task.command] = [pool.submit(train, task.command, seed) for seed in SEEDS]
            baselines.append(pool.submit(reference, task))
        print(f"{date.today()}, {platform.platform()}, {os.cpu_count()} cores, JAX {jax.__version__}")
        print(f"test split, median of seeds {', '.join(map(str, SEEDS))}")
        print(LINE.format("runner ...", "metric", "median", "min", "max", "baseline", "asked", "").rstrip())
        passed = [
            report(task, [run.result()[task.metric] for run in runs[task.command]], baseline.result())
            for task, baseline in zip(tasks, baselines, strict=True)
        ]
    print(f"{sum(passed)} of {len(tasks)} passed, in {time.monotonic() - began:.0f} s")
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
