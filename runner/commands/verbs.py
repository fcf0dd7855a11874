"""The commands for saved runs."""

import inspect
import io
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.commands.check import check
from runner.commands.help import HELP, help_of
from runner.commands.listings import (
    best,
    compare,
    diff,
    parts,
    show,
    show_json,
    show_line,
    show_table,
    show_text,
    status,
)
from runner.commands.ls import ls
from runner.commands.predict import predict
from runner.commands.words import is_word, plain, takes
from runner.process import signals
from runner.process.files import replace_all
from runner.process.terminal import near

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5  # generated texts that are printed; the file contains all of them


def resume(run: str, *settings: str) -> None:
    """Resumes a run where it stopped."""
    from runner.compose.command_line import change
    from runner.compose.trust import trusting_all
    from runner.runs.seeds import prepared
    from runner.storage.differences import FREE
    from runner.storage.run_directory import Directory

    directory, trust = Directory(run), "trust_code=true"
    changes = [setting for setting in settings if setting != trust]
    config = change(directory.vetted(trust in settings), changes, sorted(FREE))
    with trusting_all(trust in settings):
        prepared(config, saved=True).run(directory.path, stop=signals.asked)


def replay(run: str, trust_code: bool = False) -> None:
    """Repeats the step at which a run was no longer finite, and shows which operation failed first."""
    from runner.compose.trust import trusting_all
    from runner.runs.replay import replay as replayed
    from runner.storage.run_directory import Directory

    directory = Directory(run)
    with trusting_all(trust_code):
        for line in replayed(directory.vetted(), directory.path):
            show_line(line)


def evaluate(
    run: str,
    split: str = "validation",
    step: int | None = None,
    trust_code: bool = False,
    as_json: bool = False,
    allow: str | None = None,
    **paths: str,
) -> None:
    """Evaluates a state of a run."""
    from runner.runs.evaluations import with_evaluation
    from runner.runs.saved_run import open_run
    from runner.writers.figures import png

    opened = open_run(run, trust_code, paths, _allows_other_data(allow))
    step = opened.step(step)
    metrics, figures = opened.evaluate(split, step)
    path, evaluated = opened.path / "evaluations" / f"{step}.json", opened.evaluated(split, step)
    own = {"weights": opened.info.weights, split: metrics} if opened.has_own_data else {}
    contents = {path: with_evaluation(path, own, {**evaluated, "metrics": metrics})}
    name = f"{step}-{split}" if own else f"{step}-{split}-{str(evaluated['data'])[2:10]}"
    for figure, draw in figures.items():
        contents[path.with_name(f"{name}-{figure}.png")] = png(draw)
    replace_all(contents)
    if as_json:
        return show_json({"run": str(opened.path), **evaluated, "metrics": metrics, "file": str(path)})
    show_table(
        f"{split} at step {step}",
        ("metric", "value"),
        [(name, f"{value:.6g}") for name, value in metrics.items()],
    )
    show_line(f"{evaluated['rows']} rows, written to {path}")


def _allows_other_data(allow: str | None) -> bool:
    if allow not in (None, "data", "[data]"):
        raise ValueError(f"allow: {allow!r} is not data, the only change that an evaluation allows")
    return allow is not None


def sample(
    run: str,
    n: int = 64,
    step: int | None = None,
    seed: int = 0,
    trust_code: bool = False,
    **settings: object,
) -> None:
    """Draws from a generative run."""
    from runner.runs.saved_run import open_run
    from runner.writers import figures

    if n < 1:
        raise ValueError(f"n: {n} is less than 1")
    opened = open_run(run, trust_code)
    step = opened.step(step)
    x = opened.sample(n, step, seed, **settings)
    path = opened.path / "samples" / f"{step}.npz"
    texts = opened.texts(x) if opened.spec.vocabulary else []
    contents = {path: _npz(x=x)}
    if texts:
        contents[path.with_suffix(".txt")] = ("\n\n".join(texts) + "\n").encode()
    for draw in figures.samples(x).values():
        contents[path.with_suffix(".png")] = figures.png(draw)
    replace_all(contents)
    if texts:
        show_text("\n\n".join(texts[:SHOWN]))
    weights = opened.info.weights
    show_line(
        f"{n} samples of shape {list(x.shape[1:])} by the {weights} weights of step {step}, written to {path}"
    )


def _npz(**arrays: "np.ndarray") -> bytes:
    import numpy as np

    content = io.BytesIO()
    np.savez(content, **arrays)  # pyright: ignore[reportArgumentType]
    return content.getvalue()


def figures(
    run: str, step: int | None = None, trust_code: bool = False, allow: str | None = None, **paths: str
) -> None:
    """Draws the curves of a run and the figures of its evaluation at a step."""
    from runner.runs.saved_run import open_run
    from runner.storage.run_directory import Directory
    from runner.writers import figures as drawing

    directory = Directory(run)
    if directory.vetted(trust_code)["seeds"] is not None:  # its members have the checkpoints
        draw = lambda: drawing.spread(directory.records, directory.info.declared)
        at, drawings = directory.info.step or 0, {"spread": draw}
    else:
        opened = open_run(run, trust_code, paths, _allows_other_data(allow))
        at = opened.step(step)
        drawings = {
            **opened.evaluate(step=at)[1],
            "curves": lambda: drawing.curves(opened.records, opened.info.declared),
        }
    folder = directory.path / "figures"
    replace_all({folder / f"{name}.png": drawing.png(draw) for name, draw in drawings.items()})
    show_line(f"figures of step {at}, written to {folder}")


VERBS = {
    verb.__name__: verb
    for verb in (
        resume,
        check,
        status,
        replay,
        evaluate,
        figures,
        sample,
        predict,
        parts,
        ls,
        show,
        diff,
        compare,
        best,
    )
}


def call(name: str, arguments: Sequence[str]) -> None:
    """Calls a verb with its positional words and its key=value settings.

    Raises:
        ValueError: there are too few or too many words, or a setting is unknown or of the wrong type.
    """
    verb = VERBS[name]
    signature = inspect.signature(verb)
    if {"-h", "--help"} & set(arguments):
        show_text(help_of(name, inspect.getdoc(verb) or ""))
        return
    is_variadic = any(kind.kind is kind.VAR_POSITIONAL for kind in signature.parameters.values())
    json_asked = not is_variadic and "--json" in arguments
    if json_asked and "as_json" not in signature.parameters:
        raise ValueError(f"runner {name}: has no --json; runner {name} --help shows its options")
    if is_variadic:
        words, settings = list(arguments), {}
    else:
        arguments = [argument for argument in arguments if argument != "--json"]
        texts = [argument for argument in arguments if is_word(argument, signature)]
        pairs = [argument.partition("=")[::2] for argument in arguments if argument not in texts]
        named = zip(signature.parameters, texts, strict=False)  # too many are refused below
        words = [_typed(name, key, text, signature) for key, text in named]
        words += texts[len(signature.parameters) :]
        settings = {key: _typed(name, key, value, signature) for key, value in pairs}
    if json_asked:
        settings["as_json"] = True
        for handler in logging.getLogger("runner").handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)  # standard output has the JSON alone
    try:
        bound = signature.bind(*words, **settings)
    except TypeError as error:
        raise ValueError(f"runner {name}: {error}; usage: runner {name} {HELP[name].usage}") from error
    verb(*bound.args, **bound.kwargs)


def _typed(verb: str, key: str, text: str, signature: inspect.Signature) -> object:
    if key not in signature.parameters and takes(key, signature):
        return plain(text) if key != "prompt" and "." not in key else text
    if key not in signature.parameters:
        known = [name for name, kind in signature.parameters.items() if kind.default is not kind.empty]
        raise ValueError(f"runner {verb}: unknown setting {key}; known: {', '.join(known) or 'none'}")
    if signature.parameters[key].annotation is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{key}: {text!r} is not true or false")
        return text == "true"
    if "int" not in str(signature.parameters[key].annotation):
        return text
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{key}: {text!r} is not a whole number") from error


def unknown_verb(word: str) -> ValueError:
    """Returns the error for an unknown verb, with the nearest known one."""
    hint = near(word, list(VERBS)) or f"; known: {', '.join(VERBS)}. Settings are key=value"
    return ValueError(f"unknown verb {word}{hint}")
