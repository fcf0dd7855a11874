"""The entry point `runner`: dispatches arguments to a run, a sweep or a command for saved runs."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from runner.errors import Stopped, describe, exit_code, is_deliberate
from runner.process import output, signals
from runner.process.compile_cache import keep_compiled_programs
from runner.process.terminal import EscapingFormatter, say, show


def command() -> None:
    """Runs the console script `runner`, and exits without finalizing the interpreter, which takes 0.25 seconds."""
    code: Any = 0
    output.replace_streams()
    try:
        main()
    except SystemExit as exit:
        code = exit.code
    if threading.active_count() > 1:  # for example of another launcher; only the normal exit joins them
        sys.exit(code)
    signals.leave_at_once()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command `runner`.

    It exits with 0, or after a line `error: ...` with 2 (a wrong command or wrong data), 3 (another process trains
    in the run directory), 4 (storage), 5 (not finite), 6 (no complete or fitting checkpoint), 128 and the
    number of a signal that stopped it, such as 130, or 1 (anything else).
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.argv = ["runner", *arguments]  # Hydra reads them there
    with signals.listening():
        _log_to_the_terminal()
        keep_compiled_programs()
        try:
            _refuse_no_working_directory()
            _dispatch(arguments)
        except Exception as error:
            if "traceback=true" in arguments:
                raise
            say(f"error: {_line(error)}", sys.stderr)
            sys.exit(signals.exit_code() if isinstance(error, Stopped) else exit_code(error))


def _refuse_no_working_directory() -> None:
    """Raises ValueError if the working directory was deleted, in which no path has a meaning."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise ValueError("the working directory was deleted; change to one that exists (cd)") from None


def _dispatch(arguments: list[str]) -> None:
    from runner.commands import verbs

    word = arguments[0] if arguments else ""
    if "--version" in arguments:
        from runner.process.version import __version__

        print(f"runner {__version__}, JAX {version('jax')}")
        output.refuse_lost()
    elif word in verbs.VERBS:
        words = [argument for argument in arguments[1:] if not argument.startswith("traceback=")]
        if word == verbs.resume.__name__:
            return verbs.call(word, words)
        signals.leave_at_once()
        verbs.call(word, words)
        output.refuse_lost()
    elif word and "=" not in word and not word.startswith(("-", "~")):
        raise verbs.unknown_verb(word)
    else:
        _train(arguments)


def _train(arguments: list[str]) -> None:
    """Passes a command to Hydra, which creates the run directory and calls back for each job."""
    from hydra._internal.utils import get_args_parser

    from runner.commands import launch

    parser = get_args_parser()
    parser.error = _refuse
    parsed = parser.parse_intermixed_args(arguments)
    if parsed.help or parsed.shell_completion:
        launch.show(parsed, parser)
        return output.refuse_lost()
    if any((parsed.hydra_help, parsed.cfg, parsed.info)):
        _hydra()
        return output.refuse_lost()
    folders = [parsed.config_dir] if parsed.config_dir else []
    if parsed.multirun:
        return _sweep(parsed.overrides, folders)
    launch.run(parsed.overrides, folders, _prepare)


def _refuse(message: str) -> NoReturn:
    raise ValueError(f"{message}; runner --help shows the options")


def _hydra() -> None:
    """Delegates to Hydra: --cfg and similar options."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors reach `main`, which prints them as one line
    hydra.main(version_base="1.3", config_path="conf", config_name="config")(lambda _: None)()


def _prepare(config: dict, directory: Path) -> Callable[[], float | None]:
    from runner.commands.train import prepare_run  # imports JAX

    return prepare_run(config, directory, signals.asked)


def _sweep(overrides: Sequence[str], folders: Sequence[str]) -> None:
    """Runs the jobs of a sweep, and compares their results."""
    from runner.commands import launch
    from runner.compose.trust import refuse_links
    from runner.runs.comparison import compare
    from runner.runs.parallel import Prepared
    from runner.runs.seeds import Seeds, first_built, prepared
    from runner.runs.training import Training
    from runner.storage.run_directory import Directory

    directories: list[Path] = []
    known: dict = {}
    first: list[tuple[dict, Path, Training | Seeds]] = []

    def task(config: dict, directory: Path, takes_prepared: bool) -> object:
        directories.append(directory)
        refuse_links(directory)
        is_built = bool(first) and first[0][:2] == (config, directory)
        training = first.pop()[2] if is_built else prepared(config, known, Directory(directory).is_run)
        launch.refuse_direction(training.config["loop"], launch.HydraConfig.get().sweeper.get("direction"))
        if takes_prepared and isinstance(training, Training):
            return Prepared(training, directory)
        return training.run(directory, stop=signals.asked)

    try:
        launch.sweep(overrides, folders, task, lambda jobs: first.extend(first_built(jobs, known)))
    finally:
        if len(directories) > 1 and any((path / "config.yaml").is_file() for path in directories):
            compared = compare(os.path.commonpath(directories))
            show(compared.table())
            compared.write()


def _log_to_the_terminal() -> None:
    log = logging.getLogger("runner")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(EscapingFormatter("%(message)s"))
    main = threading.main_thread().ident
    # Runs in other threads show only warnings and errors here; all messages are in their own logs.
    handler.addFilter(lambda record: record.thread == main or record.levelno > logging.INFO)
    log.handlers, log.propagate = [handler], False  # the handlers of Hydra would print each message twice
    if not logging.getLogger().handlers:
        # Tracebacks belong in log files only; without a handler, Python would print them.
        logging.getLogger().addHandler(logging.NullHandler())
    logging.raiseExceptions = False  # a closed output must not print a traceback
    for loud in ("absl", "jax", "orbax"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def _line(error: BaseException) -> str:
    if isinstance(error, Stopped):
        return (
            f"{describe(error)}; the same command on the same run directory, or `runner resume`, resumes it"
        )
    return describe(error) + ("" if is_deliberate(error) else " (traceback=true shows the whole traceback)")
