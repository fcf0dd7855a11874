"""Trains one run from the settings of a command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

from runner.commands import launch
from runner.compose.trust import refuse_links
from runner.errors import ConfigError
from runner.runs.saved_run import Run
from runner.runs.seeds import prepared
from runner.storage.run_directory import Directory


def train(
    settings: Sequence[str] = (), directory: str | Path | None = None, config_dir: str | Path | None = None
) -> Run:
    """Trains one run, as the command `runner` does with these settings, and returns it.

    The same call on the same directory resumes the run, or returns it if it has finished. The handlers of signals and
    of logs stay those of the caller. So Ctrl-C raises KeyboardInterrupt, and the run resumes from its newest
    checkpoint.

    Args:
        settings: as on the command line, such as `["scenario=gan", "steps=100"]`.
        directory: the run directory; by default a new one below `outputs/`, named for the date and the time.
        config_dir: a folder with further parts, as `--config-dir`.

    Raises:
        ConfigError: a setting is wrong, or there are several runs to train; nothing is written.
        ValueError: two parts do not fit each other; nothing is written.
        RunnerError: the directory cannot be used, or the run fails; the kinds are those of `Training.run`.
    """
    _refuse_options(settings)
    own = [] if directory is None else [f"hydra.run.dir={_quoted(directory)}"]
    paths = []

    def prepare(config: dict, path: Path) -> Callable[[], float | None]:
        if config["seeds"] is not None:
            raise ConfigError("seeds: train() trains one run; leave it out, and call train() for each seed=")
        paths.append(path)
        return prepare_run(config, path)

    launch.run([*settings, *own], [] if config_dir is None else [str(config_dir)], prepare)
    return Run(paths[0], trust_code=True)  # it names only code that has just run


def prepare_run(
    config: dict, directory: Path, stop: Callable[[], bool] = lambda: False
) -> Callable[[], float | None]:
    """Builds a run, or the runs of several seeds, and returns the function that trains in the directory.

    Raises:
        Occupied: the directory belongs to another configuration.
        Untrusted: the directory contains links.
        ValueError: a part rejects a setting or the data.
    """
    refuse_links(directory)
    training = prepared(config, saved=Directory(directory).is_run)
    training.refuse_directory(directory)
    return lambda: training.run(directory, stop=stop)


def _refuse_options(settings: Sequence[str]) -> None:
    if isinstance(settings, str):
        raise ConfigError(f"settings: {settings!r} is a string; pass a list, such as ['scenario=gan']")
    for setting in settings:
        if setting in ("-m", "--multirun"):
            raise ConfigError(
                f"{setting}: train() trains one run; call it in a loop, or sweep by `runner -m`"
            )
        if setting.startswith("-"):
            raise ConfigError(f"{setting}: train() takes settings, key=value, and no options of the command")


def _quoted(path: str | Path) -> str:
    text = str(path).replace("'", "\\'")
    return f"'{text}'"
