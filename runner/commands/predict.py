"""The command that predicts the rows of a file or a folder, and writes a table of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.commands.listings import show_json, show_line
from runner.process.files import replace_all

if TYPE_CHECKING:
    import numpy as np
    import polars

    from runner.runs.predictions import Predicted
    from runner.runs.saved_run import Run

ENDINGS = (".csv", ".parquet")
TYPED = (".parquet", ".arrow", ".feather", ".ipc")  # inputs whose columns have types, which a CSV would lose
COMPRESSED = (".gz", ".bz2", ".xz")


def predict(
    run: str,
    rows: str,
    step: int | None = None,
    output: str | None = None,
    strict: bool = False,
    trust_code: bool = False,
    as_json: bool = False,
) -> None:
    """Predicts the rows of a table, an npz, images or a text, and writes them as CSV or Parquet."""
    import polars

    from runner.core.abilities import Predicting
    from runner.process.frames import csv_of_frame, parquet_of_frame
    from runner.runs.predictions import predicted
    from runner.runs.saved_run import open_run

    opened = open_run(run, trust_code)
    opened.require(Predicting)
    step, path = opened.step(step), _path(opened.path, Path(rows), output)
    frames, problems = [], []
    for block in predicted(opened, rows, step, strict):
        frames.append(_frame(opened, block))
        problems += block.inputs.problems
    frame = polars.concat(frames, how="vertical_relaxed")  # a block without readable rows has no types
    if block.inputs.table is None and not block.inputs.names:
        frame = frame.with_row_index("row")
    content = parquet_of_frame(frame) if path.suffix.lower() == ".parquet" else csv_of_frame(frame)
    replace_all({path: content})
    if as_json:
        about = {"run": str(opened.path), "step": step, "weights": opened.info.weights, "rows": len(frame)}
        return show_json({**about, "problems": problems, "file": str(path)})
    empty = f" ({len(problems)} of them empty)" if problems else ""
    show_line(f"{len(frame)} predictions{empty} at step {step}, written to {path}")


def _path(run: Path, source: Path, output: str | None) -> Path:
    """Returns the file that is written.

    Raises:
        ValueError: its ending is unknown, or it is what is predicted.
    """
    source = source.expanduser().resolve()
    if output is None:
        name = source.with_suffix("") if source.suffix.lower() in COMPRESSED else source
        ending = ".parquet" if name.suffix.lower() in TYPED else ".csv"
        return run / "predictions" / f"{source.name if source.is_dir() else name.stem}{ending}"
    path = Path(output).expanduser()
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"output: {output} does not end in {' or '.join(ENDINGS)}")
    if path.resolve() == source:
        raise ValueError(f"output: {output} is what is predicted; name another file")
    return path


def _frame(run: "Run", block: "Predicted") -> "polars.DataFrame":
    """Returns what identifies each row of a block, and its predictions, which are null if it cannot be read.

    Raises:
        ValueError: the table has a column with the name of one of the predictions.
    """
    import polars

    inputs = block.inputs
    named = {"text" if run.spec.vocabulary else "file": inputs.names} if inputs.names else {}
    known = polars.DataFrame(named) if inputs.table is None else inputs.table
    readable = polars.DataFrame(_columns(run, block))
    twice = [name for name in readable.columns if name in known.columns]
    if twice:
        raise ValueError(f"{twice[0]}: the table has a column with the name of a prediction; rename it")
    places = dict(zip(inputs.rows.tolist(), range(len(inputs.rows)), strict=True))
    order = polars.Series([places.get(row) for row in range(inputs.size)], dtype=polars.UInt32)
    return polars.concat([known, readable.select(polars.all().gather(order))], how="horizontal")


def _columns(run: "Run", block: "Predicted") -> dict[str, Any]:
    """Returns the predictions of the rows that can be read, by column.

    These are a class, its probability and that of every class; or the numbers of the target, and for an ensemble their
    deviations.
    """
    from runner.core.abilities import Reconstructing, supports

    spec, rows, outputs = run.spec, block.inputs.rows, block.outputs[block.inputs.rows]
    if spec.vocabulary and outputs.ndim == 3:
        ends = block.inputs.ends
        outputs = outputs[:, -1] if ends is None else outputs[range(len(ends)), ends]
        tokens = [token.encode(errors="backslashreplace").decode() for token in spec.vocabulary]
        return _classes("next", tokens, outputs)  # a token of bytes is no text
    reconstructs = supports(run.scenario, Reconstructing)  # and not classes, even if the data have some
    if spec.classes is not None and not reconstructs and outputs.shape[1:] == (spec.classes,):
        labels = spec.labels or [str(number) for number in range(spec.classes)]
        return _classes(f"predicted_{spec.target or 'y'}", labels, outputs)
    names = [column.name for column in spec.targets] or [spec.target or "y"]
    spread = {} if block.spread is None else _numbers("deviation", names, block.spread[rows])
    return _numbers("predicted", names, outputs) | spread


def _classes(name: str, labels: Sequence[str], logits: "np.ndarray") -> dict[str, Any]:
    import numpy as np

    powers = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
    probabilities = (powers / powers.sum(-1, keepdims=True)).astype(np.float32)
    classes = [labels[index] for index in logits.argmax(-1)]
    each = {f"probability_{label}": probabilities[:, index] for index, label in enumerate(labels)}
    return {name: classes, "probability": probabilities.max(-1), **each}


def _numbers(what: str, names: Sequence[str], outputs: "np.ndarray") -> dict[str, Any]:
    numbers = outputs.reshape(len(outputs), -1)
    if numbers.shape[1] != len(names):
        names = [f"{names[0]}_{index}" for index in range(numbers.shape[1])]
    return {f"{what}_{name}": numbers[:, index] for index, name in enumerate(names)}
