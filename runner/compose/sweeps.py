"""Composes a sweep and its jobs, and checks them, before anything is built."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

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
            asked = [
                f"++{text}" if text.startswith(PARAMS) else text for text in overrides
            ]  # their keys are new
            master = hydra.compose_config("config", asked, RunMode.MULTIRUN)
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


def texts(overrides: object) -> list[str]:
    """Returns settings that a composed configuration lists, as they were given.

    Hydra resolves their interpolations by the settings of the sweep, and would replace `${seed}` by its default.
    """
    return OmegaConf.to_container(overrides, resolve=False)  # pyright: ignore


def _checked(jobs: Sequence[Sequence[str]], hydras: Sequence[str], loader: Loader) -> dict[Job, dict]:
    configs, bases = {}, {}
    for number, job in enumerate(jobs):
        try:
            configs[tuple(job)], loader.jobs[tuple(job)] = checked([*hydras, *job], loader, bases)
        except ConfigError as error:
            raise ConfigError(f"{error} (job {number} of the sweep)") from error
    return configs
