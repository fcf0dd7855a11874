"""The command line: argv -> configuration -> objects -> a run; and the verbs."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from runner.errors import Stopped, describe, exit_code, is_deliberate
from runner.process import signals
from runner.process.compile_cache import keep_compiled_programs


def command() -> None:
    """The console's `runner`: leaves without taking the interpreter apart, which takes a quarter of a second."""
    code: Any = 0
    try:
        main()
    except SystemExit as exit:
        code = exit.code
    if threading.active_count() > 1:  # of another launcher, say, that only Python's own way out ends
        sys.exit(code)
    signals.leave_at_once()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):  # nobody reads on
            stream.flush()
    os._exit(code or 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command `runner`.

    It exits with 0, or after an `error:` line with 2 (a wrong command or wrong data), 3 (another process trains
    there), 4 (storage), 5 (not finite), 6 (no whole or fitting checkpoint), 130 or 143 (stopped by a signal), or
    1 (anything else).
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.argv = ["runner", *arguments]  # where Hydra reads them
    with signals.listening():
        _log_to_the_terminal()
        keep_compiled_programs()
        try:
            _dispatch(arguments)
        except Exception as error:
            if "traceback=true" in arguments:
                raise
            print(f"error: {_line(error)}", file=sys.stderr)
            sys.exit(signals.exit_code() if isinstance(error, Stopped) else exit_code(error))


def _dispatch(arguments: list[str]) -> None:
    from runner.commands import verbs

    word = arguments[0] if arguments else ""
    if word in verbs.VERBS:
        if word != verbs.resume.__name__:
            signals.leave_at_once()
        verbs.call(word, [argument for argument in arguments[1:] if not argument.startswith("traceback=")])
    elif word and "=" not in word and not word.startswith(("-", "~")):
        raise verbs.unknown_verb(word)
    else:
        _train(arguments)


def _train(arguments: list[str]) -> None:
    """Hands a checked command to Hydra, which makes the run directory and calls back once a job."""
    from hydra._internal.utils import get_args_parser

    from runner.commands import launch

    parser = get_args_parser()
    parser.error = _refuse
    asked = parser.parse_args(arguments)
    if asked.help:
        return launch.show_help(asked, parser)
    if any((asked.hydra_help, asked.cfg, asked.info, asked.shell_completion)):
        return _hydra()
    folders = [asked.config_dir] if asked.config_dir else []
    if asked.multirun:
        return _sweep(asked.overrides, folders)
    return launch.run(asked.overrides, folders, _begin)


def _refuse(message: str) -> NoReturn:
    raise ValueError(f"{message}; runner --help shows what can be said")


def _hydra() -> None:
    """Has Hydra itself answer --cfg and the like."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors reach `main`, which tells them in one line
    hydra.main(version_base="1.3", config_path="conf", config_name="config")(lambda _: None)()


def _begin(config: dict, place: Path) -> Callable[[], float | None]:
    """Builds a run, and gives what trains it."""
    from runner.runs.seeds import prepared

    training = prepared(config)
    training.refuse_directory(place)
    return lambda: training.run(place, stop=signals.asked)


def _sweep(overrides: Sequence[str], folders: Sequence[str]) -> None:
    """Runs the jobs of a sweep, and tells what came of them."""
    from runner.commands import launch
    from runner.commands.listings import console
    from runner.runs.comparison import compare
    from runner.runs.parallel import Prepared
    from runner.runs.seeds import prepared
    from runner.runs.training import Training

    places: list[Path] = []
    known: dict = {}

    def task(config: dict, place: Path, threads: bool) -> Any:
        places.append(place)
        training = prepared(config, known)
        if threads and isinstance(training, Training):
            return Prepared(training, place)
        return training.run(place, stop=signals.asked)

    try:
        launch.sweep(overrides, folders, task)
    finally:
        if len(places) > 1 and any((place / "config.yaml").is_file() for place in places):
            compared = compare(os.path.commonpath(places))
            console.print(compared)
            compared.write()


def _log_to_the_terminal() -> None:
    log = logging.getLogger("runner")
    log.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    main = threading.main_thread().ident
    # Of runs side by side, each in a thread, only trouble is told here; the rest is in their own logs.
    handler.addFilter(lambda record: record.thread == main or record.levelno > logging.INFO)
    log.handlers, log.propagate = [handler], False  # Hydra's own handlers would tell it twice
    if not logging.getLogger().handlers:
        # Tracebacks are for logs alone; without any, Python would print them.
        logging.getLogger().addHandler(logging.NullHandler())
    logging.raiseExceptions = False  # a line that nobody reads is no reason for a traceback
    for loud in ("absl", "jax", "orbax"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def _line(error: BaseException) -> str:
    if isinstance(error, Stopped):
        return f"{describe(error)}; the same command on the same run directory, or `runner resume`, goes on"
    return describe(error) + ("" if is_deliberate(error) else " (traceback=true shows the whole traceback)")
