"""Composes a sweep and its jobs, and checks them, before anything is built."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.compose.choices import Loader, loader_of
from runner.compose.command_line import as_config_error, checked, is_hydras
from runner.compose.overrides import parse, refuse_twice
from runner.compose.tree import target_of
from runner.errors import ConfigError

BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__name__}"
PARAMS = "hydra.sweeper.params"
Job = tuple[str, ...]


def composed(overrides: Sequence[str], hydra: Hydra) -> tuple[DictConfig, dict[Job, dict]]:
    """Composes and checks a sweep.

    Args:
        overrides: as on the command line.
        hydra: opened.

    Returns:
        The configuration of the sweep, with Hydra's own node, and the checked configuration of each job by its
        settings. A sweeper that is not Hydra's own determines its jobs later, so there are none.

    Raises:
        ConfigError: a setting or a choice is wrong; for a single job, the message names it.
    """
    loader = loader_of(hydra)
    refuse_twice(parse(overrides, loader))
    own = parse([text for text in overrides if not is_hydras(text)], loader)
    hydras = [text for text in overrides if is_hydras(text) and not text.startswith(PARAMS)]
    try:
        with as_config_error():
            # Only those of Hydra, if the others change a saved run, whose settings this composition does not have.
            own_too = [text for text in overrides if loader.saved is None or is_hydras(text)]
            asked = [
                f"++{text}" if text.startswith(PARAMS) else text for text in own_too
            ]  # their keys are new
            master = hydra.compose_config("config", asked, RunMode.MULTIRUN)
            master.hydra.overrides.task = [text for text in overrides if not is_hydras(text)]
    except ConfigError:
        _checked(jobs(own), hydras, loader)  # which says it by the nearest known name
        raise
    if master.hydra.mode == RunMode.RUN:
        raise ConfigError("hydra.mode: RUN is one run, and -m is a sweep; leave one of them out")
    if target_of(master.hydra.sweeper) != BASIC:
        return master, {}
    params = [f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()]
    return master, _checked(jobs([*parse(params, loader), *own]), hydras, loader)


def jobs(overrides: Sequence[Override]) -> list[list[str]]:
    """Returns the settings of each job of a sweep; the last values of a key count.

    Raises:
        ConfigError: a setting has no values, or the values of an interval, which cannot be listed.
    """
    for override in overrides:
        value = override.value()
        if isinstance(value, IntervalSweep):
            raise ConfigError(
                f"{override.input_line}: an interval does not say which values; list them, as in"
                f" {override.get_key_element()}={value.start},{value.end}, or choose another sweeper"
                ", which draws from it, by hydra/sweeper=..."
            )
        if override.is_sweep_override() and not list(override.sweep_string_iterator()):
            raise ConfigError(f"{override.input_line}: is no value at all, so the sweep has no jobs")
    return [job for batch in BasicSweeper.split_arguments(list(overrides), None) for job in batch]


def numbered(loader: Any, master: DictConfig, settings: Sequence[str], number: int) -> DictConfig:
    """Returns the composed configuration of a job, which has its number."""
    job = loader.load_sweep_config(master, list(settings))
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    return job


def directory_of(job: DictConfig) -> Path:
    """Returns the absolute path of the run directory of a job with a number."""
    previous = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(job)
    try:
        return Path(os.path.abspath(os.path.join(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir))))
    finally:
        HydraConfig.instance().cfg = previous
        OmegaConf.set_readonly(job.hydra, None)  # `set_config` sets it, and launchers change the node


def refuse_shared(directories: Mapping[int, Path]) -> None:
    """Raises ConfigError if two jobs, which are given by their numbers, have the same run directory."""
    first: dict[Path, int] = {}
    for number, directory in directories.items():
        if first.setdefault(directory, number) != number:
            raise ConfigError(
                f"hydra.sweep.subdir: jobs {first[directory]} and {number} share the run directory {directory};"
                " it must contain ${hydra.job.num}"
            )


def texts(overrides: object) -> list[str]:
    """Returns settings that a composed configuration lists, as they were given.

    Hydra resolves their interpolations by the settings of the sweep, and would replace `${seed}` by its default.
    """
    return OmegaConf.to_container(overrides, resolve=False)  # pyright: ignore


def _checked(jobs: Sequence[Sequence[str]], hydras: Sequence[str], loader: Loader) -> dict[Job, dict]:
    configs, bases = {}, {}
    for number, job in enumerate(jobs):
        if tuple(job) in configs:
            same = [*configs].index(tuple(job))
            raise ConfigError(
                f"jobs {same} and {number} of the sweep are the same, {' '.join(job)}; name it once"
            )
        try:
            configs[tuple(job)], loader.jobs[tuple(job)] = checked([*hydras, *job], loader, bases)
        except ConfigError as error:
            raise ConfigError(f"{error} (job {number} of the sweep)") from error
    return configs
