"""The lines of a text, as rows that a language model continues."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runner.core import Spec
from runner.core.vocabulary import encode
from runner.datasets.files import read
from runner.datasets.inputs import Inputs


def lines_of(path: str | Path) -> list[str]:
    """Returns the lines of a text in UTF-8, without their ends.

    Raises:
        ValueError: the file is missing, empty or not UTF-8.
    """
    try:
        content = read(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {path} is not UTF-8 (byte {error.start})") from None
    lines = re.split("\r\n|\r|\n", content)
    if lines == [""]:
        raise ValueError(f"path: {path} is empty")
    return lines if lines[-1] else lines[:-1]


def continued(texts: Sequence[str], spec: Spec, path: str = "the texts") -> Inputs:
    """Returns the last tokens of each text, at the start of a window x [N, length] that zeros fill.

    Args:
        texts: the rows.
        spec: of the data of a language model.
        path: where the texts are from, for messages.
    """
    (length,) = spec.shape("x")
    rows, tokens, problems = [], [], []
    for row, content in enumerate(texts):
        try:
            found = encode(spec.vocabulary, content)
            if not found:
                raise ValueError("is empty")
        except ValueError as error:
            problems.append(f"line {row + 1} of {path}: {error}")
        else:
            rows.append(row)
            tokens.append(found[-length:])
    x, ends = np.zeros((len(rows), length), np.int32), np.zeros(len(rows), np.int32)
    for number, last in enumerate(tokens):
        x[number, : len(last)], ends[number] = last, len(last) - 1
    return Inputs(x, np.array(rows, int), tuple(texts), tuple(problems), len(texts), ends=ends)
