"""Runs checked commands with Hydra, which creates their directories, as `hydra.main` does for its tasks.

`hydra.main` itself composes a run three times, and again three times for each job of a sweep.
"""

import json
import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from runner.commands.completion import complete as complete_words
from runner.compose.checks import check, complete
from runner.compose.choices import Loader, loader_of, opened
from runner.compose.command_line import checked
from runner.compose.sweeps import Job, composed, directory_of, numbered, refuse_shared, texts
from runner.compose.tree import TARGET, target_of
from runner.compose.trust import refuse_linked, trusting_all
from runner.errors import ConfigError, Occupied
from runner.process.files import read_small, replace
from runner.storage.differences import differences
from runner.storage.lock import Lock
from runner.storage.run_directory import Directory
from runner.storage.run_info import read_record

log = logging.getLogger("runner")
JOBS = "jobs.json"
LAUNCHER = "hydra_plugins.runner.inprocess.InProcessLauncher"
Prepare = Callable[[dict, Path], Callable[[], float | None]]
Task = Callable[[dict, Path, bool], object]
Refuse = Callable[[Sequence[tuple[dict, Path]]], None]


def run(overrides: Sequence[str], folders: Sequence[str], prepare: Prepare) -> float | None:
    """Composes and checks one run, and calls it in its directory.

    Args:
        overrides: as on the command line.
        folders: as in `compose`.
        prepare: takes the configuration and the path of the run directory, before it is created, and returns the
            function that is called there.

    Raises:
        ConfigError: a setting or a choice of a part is wrong.
        Exception: `prepare` or the function it returned failed.
    """
    overrides, trust = _without_trust(overrides)
    with opened(folders) as hydra, _hydra_config_of_the_caller(), trusting_all(trust):
        config, whole = checked(_repeating(overrides, loader_of(hydra)), loader_of(hydra), {})
        if whole.hydra.mode == RunMode.MULTIRUN:
            raise ConfigError("hydra.mode: MULTIRUN is a sweep; add -m")
        HydraConfig.instance().set_config(whole)
        call, callbacks = prepare(config, Path(OmegaConf.select(whole, "hydra.run.dir"))), Callbacks(whole)
        callbacks.on_run_start(config=whole, config_name="config")
        returned = run_job(
            hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
            task_function=lambda _: call(),
            config=whole,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
        )
        callbacks.on_run_end(config=whole, config_name="config", job_return=returned)
    if returned.status is JobStatus.FAILED:
        raise returned._return_value  # `return_value` would print as well
    return returned.return_value


@contextmanager
def _hydra_config_of_the_caller() -> Iterator[None]:
    """Restores Hydra's global configuration, which is that of the caller if it is itself a program of Hydra."""
    previous = HydraConfig.instance().cfg
    try:
        yield
    finally:
        HydraConfig.instance().cfg = previous


def sweep(overrides: Sequence[str], folders: Sequence[str], task: Task, refuse: Refuse) -> None:
    """Composes and checks all jobs of a sweep, then passes them to the sweeper and the launcher of Hydra.

    Args:
        overrides: as on the command line.
        folders: as in `compose`.
        task: runs a job; takes its configuration, its directory, and whether the launcher accepts a run that is
            only prepared.
        refuse: raises an error if no job can be built and begin in its directory; not called if other processes
            build them.

    Raises:
        ConfigError: one of the jobs, which the message names, is wrong; nothing is written.
        Busy, Occupied: another process writes to the directory of the sweep, or it holds a run.
        Exception: the error of the first job that failed; nothing is written if none can begin.
    """
    overrides, trust = _without_trust(overrides)
    with opened(folders) as hydra, trusting_all(trust):
        master, configs = composed(_repeating(overrides, loader_of(hydra)), hydra)
        folder, loader = Path(master.hydra.sweep.dir), loader_of(hydra)
        takes_prepared = target_of(master.hydra.launcher) == LAUNCHER

        def job(_: DictConfig) -> object:
            own = HydraConfig.get()
            settings = texts(own.overrides.task)
            known = configs.get(tuple(settings))  # or the sweeper has added the job
            config = known or checked(settings, loader, {})[0]
            return task(config, Path(own.runtime.output_dir), takes_prepared)

        callbacks = Callbacks(master)
        context = HydraContext(hydra.config_loader, callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=context, task_function=job, config=master
        )
        directories = _directories(master, configs, loader)
        begin = lambda configs: takes_prepared and refuse([*zip(configs.values(), directories, strict=True)])
        with _begun(configs, folder, begin) as configs:
            callbacks.on_multirun_start(config=master, config_name="config")
            sweeper.sweep(arguments=texts(master.hydra.overrides.task))
            callbacks.on_multirun_end(config=master, config_name="config")


def _directories(master: DictConfig, jobs: Iterable[Job], loader: Loader) -> list[Path]:
    directories = [directory_of(numbered(loader, master, job, number)) for number, job in enumerate(jobs)]
    refuse_shared(dict(enumerate(directories)))
    folder = Path(os.path.abspath(master.hydra.sweep.dir))
    for directory in directories:
        refuse_linked(*(path for path in (directory, *directory.parents) if folder in path.parents))
    return directories


@contextmanager
def _begun(
    configs: dict[Job, dict], folder: Path, begin: Callable[[dict[Job, dict]], object]
) -> Iterator[dict[Job, dict]]:
    """Locks the directory of a sweep, and yields the configuration of each job; writes nothing if `begin` fails."""
    is_new = not folder.exists()
    if is_new:  # the lock would create it
        begin(configs)
    with Lock(folder, "sweep"):
        frozen = _frozen(configs, folder)
        if not is_new:
            begin(frozen)
        _save(frozen, folder)
        yield frozen


def _frozen(configs: dict[Job, dict], folder: Path) -> dict[Job, dict]:
    """Returns for each job the configuration of its first start in this folder.

    So an edit between two starts of a sweep does not mix two configurations in it.

    Raises:
        Occupied: the folder holds a run, whose results those of the sweep would hide.
        ConfigError: the saved configurations are damaged, or name other code than the command.
    """
    path = folder / JOBS
    if Directory(folder).is_run and not path.is_file():
        raise Occupied(f"sweep directory {folder}: holds a run; take another hydra.sweep.dir")
    try:
        refuse_linked(path)
        known = read_record(read_small(path), str(path)) if path.exists() else {}
        kept = {job: known[" ".join(job)] for job in configs if " ".join(job) in known}
        frozen = configs | {job: check(complete(config), set(configs[job])) for job, config in kept.items()}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ConfigError(f"{path}: {error}; repair it, or take another hydra.sweep.dir") from error
    for job, config in configs.items():
        changes = [change for _, change in differences(frozen[job], config)]
        if any(TARGET in change for change in changes):
            raise ConfigError(f"{path}: {changes[0]}; take another hydra.sweep.dir")
        if changes:
            log.warning(
                "%s keeps the settings it was started with (%s)", " ".join(job), "; ".join(changes[:3])
            )
    return frozen


def _save(configs: Mapping[Job, dict], folder: Path) -> None:
    """Adds the configurations of jobs to those of the folder, and removes what Hydra would write through."""
    path = folder / JOBS
    known = read_record(read_small(path), str(path)) if path.exists() else {}
    texts = known | {" ".join(job): config for job, config in configs.items()}
    replace(path, json.dumps(texts, indent=1).encode())
    (folder / "multirun.yaml").unlink(missing_ok=True)


def _without_trust(overrides: Sequence[str]) -> tuple[list[str], bool]:
    """Returns the settings of a run, and whether this command trusts the code of other runs, which is not saved."""
    trusting = [text for text in overrides if text.startswith("trust_code=")]
    for text in trusting:
        if text not in ("trust_code=true", "trust_code=false"):
            raise ConfigError(f"trust_code: {text.partition('=')[2]!r} is not true or false")
    return [text for text in overrides if text not in trusting], "trust_code=true" in trusting


def _repeating(overrides: Sequence[str], loader: Loader) -> list[str]:
    """Returns the settings without `from=RUN`, whose configuration the loader then changes instead of the defaults.

    Raises:
        ConfigError: several runs are named.
        ValueError: there is no such run, or it is not trusted.
    """
    runs = [text for text in overrides if text.startswith("from=")]
    if len(runs) > 1:
        raise ConfigError(f"{' '.join(runs)}: name the directory of one run")
    for run in runs:  # its name may have characters that Hydra's grammar reads as others, such as a comma
        loader.saved = Directory(run.removeprefix("from=")).vetted()
    return [text for text in overrides if text not in runs]


def refuse_direction(loop: Mapping, asked: object) -> None:
    """Checks that a sweeper optimizes the metric `loop.best` in its direction.

    Args:
        loop: the settings of the loop of a job, with `mode`.
        asked: the `direction` of the sweeper, "minimize" or "maximize"; others are not checked.

    Raises:
        ConfigError: it is the other direction.
    """
    asked, needed = str(asked).rpartition(".")[2], {"min": "minimize", "max": "maximize"}.get(loop["mode"])
    if needed is not None and asked in ("minimize", "maximize") and asked != needed:
        raise ConfigError(
            f"hydra.sweeper.direction: {asked} contradicts the metric {loop['best']}, whose best value is the"
            f" {loop['mode']}; say hydra.sweeper.direction={needed}"
        )


def show(arguments: Namespace, parser: ArgumentParser) -> None:
    """Prints the help of Hydra's template, with the parts and the settings of the chosen parts; or completes a word."""
    with opened([arguments.config_dir] if arguments.config_dir else []) as hydra:
        if arguments.shell_completion:
            complete_words(hydra, arguments.overrides)
        else:
            hydra.app_help("config", parser, arguments)
