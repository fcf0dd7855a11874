"""The launcher that runs the jobs of a sweep in one process, with the same compiled programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher

from runner.compose.sweeps import directory_of, numbered, refuse_shared
from runner.errors import runs_failed
from runner.process import held


@dataclass
class InProcessLauncherConf:
    """The settings of the launcher."""

    _target_: str = "hydra_plugins.runner.inprocess.InProcessLauncher"
    threads: int | None = None


ConfigStore.instance().store(
    group="hydra/launcher", name="inprocess", node=InProcessLauncherConf, provider="runner"
)


class _Reported(JobReturn):
    """The result of a job whose failure was already reported, so that reading it prints nothing."""

    @JobReturn.return_value.getter
    def return_value(self) -> Any:
        """Returns the result, or raises the error of the job."""
        if self.status is JobStatus.FAILED:
            raise self._return_value
        return self._return_value


class InProcessLauncher(Launcher):
    """Trains prepared runs in threads, and runs all other tasks one after another.

    Hydra's `run_job` changes the state of the whole process: the configuration, the working directory, logging. So
    it is called on the main thread, where a task of runner only builds a run and returns it as `Prepared`.

    Args:
        threads: the number of runs that train at once, or None for one per core; fewer if memory is short.
    """

    def __init__(self, threads: int | None = None):
        if threads is not None and threads < 1:
            raise ValueError(f"hydra.launcher.threads: {threads} is less than 1")
        self._threads = threads

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Keeps the arguments that Hydra passes to each launcher."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs; the failure of one is reported at once and does not affect the others.

        Raises:
            ConfigError: two jobs share a run directory.
        """
        from runner.process.signals import asked as stop_requested
        from runner.runs.parallel import run_members

        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        jobs = [
            numbered(self._context.config_loader, self._config, overrides, number)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        refuse_shared({job.hydra.job.num: directory_of(job) for job in jobs})
        Path(str(self._config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        names = _names(initial_job_idx, job_overrides)
        returns: list[JobReturn] = [_Reported() for _ in jobs]
        outcomes = run_members(
            names, lambda index: self._prepared(jobs, index, returns), stop_requested, self._threads
        )
        errors = [outcome.error for outcome in outcomes if outcome is not None and outcome.error is not None]
        for returned, outcome in zip(returns, outcomes, strict=True):
            if outcome is not None and outcome.error is None:
                returned.return_value, returned.status = outcome.value, JobStatus.COMPLETED
            elif outcome is not None:
                returned.return_value = runs_failed(len(errors), len(jobs), errors[0])
                returned.status = JobStatus.FAILED
        return returns

    def _prepared(self, jobs: Sequence[Any], index: int, returns: list[JobReturn]) -> Any:
        """Runs the task of a job, and returns the run if the task only prepared one."""
        from runner.runs.parallel import Prepared

        held.refuse_gone(directory_of(jobs[index]))  # before Hydra creates it
        returned = run_job(
            hydra_context=self._context,
            task_function=self._task,
            config=jobs[index],
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        returns[index] = _Reported(**vars(returned))
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        if returned.status is JobStatus.FAILED:
            raise returned._return_value
        return returned.return_value if isinstance(returned.return_value, Prepared) else None


def _names(first: int, job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Returns the names of jobs: their numbers, and the settings that not all of them share."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    own = [filter_overrides([text for text in job if text not in common]) for job in job_overrides]
    return [" ".join([f"#{number}", *texts]) for number, texts in enumerate(own, first)]
