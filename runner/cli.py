"""The command line: argv -> configuration -> objects -> a run; and the verbs."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

EXITS = {"NotFinite": 5, "Misfit": 6, "KeyboardInterrupt": 130}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command `runner`.

    It exits with 0, or after an `error:` line with 2 (a wrong command or wrong data), 4 (storage), 5 (not finite),
    6 (no fitting checkpoint), 130 (interrupted) or 1 (anything else).
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.argv = ["runner", *arguments]  # where Hydra reads them
    _log_to_the_terminal()
    try:
        _dispatch(arguments)
    except (Exception, KeyboardInterrupt) as error:
        if "traceback=true" in arguments:
            raise
        print(f"error: {_line(error)}", file=sys.stderr)
        sys.exit(_exit_code(error))


def _dispatch(arguments: list[str]) -> None:
    from runner import verbs

    word = arguments[0] if arguments else ""
    if word in verbs.VERBS:
        verbs.call(word, [argument for argument in arguments[1:] if not argument.startswith("traceback=")])
    elif word and "=" not in word and not word.startswith(("-", "~")):
        raise verbs.unknown_verb(word)
    else:
        _train(arguments)


def _train(arguments: list[str]) -> None:
    """Hands a checked command to Hydra, which makes the run directory and calls back once a job."""
    from hydra._internal.utils import get_args_parser

    from runner.compose import compose, jobs

    asked = get_args_parser().parse_args(arguments)
    if any((asked.help, asked.hydra_help, asked.cfg, asked.info, asked.shell_completion)):
        return _hydra(lambda overrides: None)
    folders = [asked.config_dir] if asked.config_dir else []
    if asked.multirun:
        for overrides in jobs(asked.overrides):
            compose(overrides, folders)
        return _hydra(lambda overrides: _prepare(compose(overrides, folders)))
    training = _prepare(compose(asked.overrides, folders))
    place = next(
        (text.partition("=")[2] for text in asked.overrides if text.startswith("hydra.run.dir=")),
        "outputs/new",
    )
    if "${" not in place:
        training.refuse_directory(place)
    return _hydra(lambda overrides: training)


def _prepare(config: dict):
    from runner.training import Training

    return Training(config)


def _hydra(prepare: Callable) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach `main`, which tells them in one line

    @hydra.main(version_base="1.3", config_path="conf", config_name="config")
    def job(_) -> float | None:
        own = HydraConfig.get()
        try:
            return prepare(list(own.overrides.task)).run(Path(own.runtime.output_dir))
        except Exception as error:
            if own.mode is RunMode.MULTIRUN:  # Hydra tells failures only when all jobs are over
                print(
                    f"error: job {own.job.num} ({own.job.override_dirname}): {_line(error)}", file=sys.stderr
                )
            raise

    job()


def _log_to_the_terminal() -> None:
    log = logging.getLogger("runner")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers, log.propagate = [handler], False  # Hydra's own handlers would tell it twice
    for loud in ("absl", "jax", "orbax"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def _line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the same command on the same run directory, or `runner resume`, goes on"
    text = " ".join(str(error).split())
    expected = isinstance(error, ValueError | OSError | ArithmeticError)
    return text if expected else f"{type(error).__name__}: {text} (traceback=true tells where)"


def _exit_code(error: BaseException) -> int:
    if type(error).__name__ in EXITS:
        return EXITS[type(error).__name__]
    return 2 if isinstance(error, ValueError) else 4 if isinstance(error, OSError) else 1
