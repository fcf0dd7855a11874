"""The files of evaluations, with what each evaluated."""

import json
from pathlib import Path

from runner.process.files import read_small
from runner.storage.run_info import read_record


def with_evaluation(path: Path, own: dict, entry: dict) -> bytes:
    """Returns the content of a file of evaluations with one more, which replaces only one of the same kind.

    Args:
        path: the file, which need not exist.
        own: the values on the run's own data, which are listed by their split.
        entry: the evaluation with what it evaluates.

    Raises:
        ValueError: the file is damaged.
    """
    known = read_record(read_small(path), str(path)) if path.exists() else {"step": entry["step"]}
    entries = known.pop("evaluations", [])
    if not (isinstance(entries, list) and all(isinstance(each, dict) for each in entries)):
        raise ValueError(f"{path}: evaluations is not a list of objects; restore a copy")
    kind = lambda each: {key: value for key, value in each.items() if key != "metrics"}
    entries = [each for each in entries if kind(each) != kind(entry)]
    return (json.dumps({**known, **own, "evaluations": [*entries, entry]}, indent=2) + "\n").encode()
