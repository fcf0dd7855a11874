"""Tokens in a file, for texts that do not fit into memory."""

import itertools
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from runner.core import Dataset, Feature, Spec
from runner.core.bounds import check, count
from runner.datasets.file_rows import FileRows
from runner.datasets.rows import Part, Rows
from runner.datasets.windows import HELD_OUT_BATCH, refuse_short
from runner.process.files import replace


class Corpus(Protocol):
    """Texts and their tokens, which are computed when they are asked for."""

    @property
    def made_from(self) -> object:
        """Returns what determines the tokens, which JSON can represent."""
        ...

    @property
    def vocabulary(self) -> list[str]:
        """Returns the text of each token."""
        ...

    def tokens(self) -> Iterable[np.ndarray]:
        """Yields the tokens, in parts [N]."""
        ...


def stored(cache: str, corpus: Corpus) -> tuple[FileRows, list[str]]:
    """Returns the tokens of a corpus, and its vocabulary, from a file to which they are written if it lacks them.

    What the tokens were made from is written next to them.

    Raises:
        ValueError: the file exists, and something else has written it.
    """
    target, story = Path(cache).expanduser(), Path(f"{cache}.json").expanduser()
    if target.exists() and not story.is_file():
        raise ValueError(
            f"cache: {cache} exists, and has no {story.name}, so it holds no tokens; name another file"
        )
    known = json.loads(story.read_text(encoding="utf-8")) if target.exists() else {}
    if known.get("made_from") != corpus.made_from:
        known = {"made_from": corpus.made_from, "vocabulary": corpus.vocabulary}
        story.unlink(missing_ok=True)
        _write(target, corpus.tokens())
        replace(story, json.dumps(known).encode())
    return FileRows(target, "cache"), known["vocabulary"]


def _write(target: Path, parts: Iterable[np.ndarray]) -> None:
    """Writes an array in parts, whose number is not known before: NumPy leaves room for it in the header."""
    draft, size = target.with_name(f".{target.name}.tmp"), 0
    header = lambda: {"descr": "<u4", "fortran_order": False, "shape": (size,)}
    with draft.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header())
        for tokens in parts:
            size += len(tokens)
            file.write(tokens.astype("<u4").tobytes())
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header())
    os.replace(draft, target)


def windows_of(
    tokens: FileRows, length: int, batch_size: int, fractions: Sequence[float], **known: object
) -> Dataset:
    """Creates the sources of tokens that are read when they are needed.

    Windows follow each other without overlap. Each epoch of the training has another order of them.

    Raises:
        ValueError: `length` is less than 1, or a part is too short for a window.
    """
    check("length", length, count)
    bounds = [0, *(round(len(tokens) * fraction) for fraction in fractions), len(tokens)]
    parts = dict(zip(("train", "validation", "test"), itertools.pairwise(bounds), strict=True))
    refuse_short({name: end - begin for name, (begin, end) in parts.items()}, length)

    def read(starts: np.ndarray) -> dict[str, np.ndarray]:
        numbers = starts.astype(np.int64)[:, None] + np.arange(length + 1)
        windows = tokens.read(numbers.ravel()).reshape(numbers.shape)
        return {"x": windows[:, :-1], "y": windows[:, 1:]}

    row = Feature((length,), "int32")
    spec = Spec({"x": row, "y": row}, **known)
    starts = {
        name: Part(read, np.arange(begin, end - length, length)) for name, (begin, end) in parts.items()
    }
    held_out = [
        Rows(part, min(HELD_OUT_BATCH, len(part.numbers)), spec=spec, shuffle=False)
        for part in (starts["validation"], starts["test"])
    ]
    return Dataset(Rows(starts["train"], batch_size, spec=spec), *held_out)
