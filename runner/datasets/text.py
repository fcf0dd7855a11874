"""A user's own text, as a sequence of characters."""

import numpy as np

from runner.core import Dataset
from runner.datasets.files import read
from runner.datasets.windows import dataset_of


def text(
    path: str, length: int = 64, batch_size: int = 64, validation: float = 0.1, test: float = 0.1
) -> Dataset:
    """Reads a text in UTF-8; its characters are the tokens x [B, length], and y are the characters that follow them.

    The first part of the text is for training, the next for validation, the last for testing. The vocabulary is that of
    the whole text, so that no held-out character is unknown.

    Args:
        path: the file.
        length: characters per window.
        batch_size: windows per batch.
        validation: fraction of the text for validation.
        test: fraction of the text for testing.

    Raises:
        ValueError: the file is missing or not UTF-8, a fraction is out of its range, the fractions leave nothing to
            train on, or a part is shorter than a window.
    """
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 < fraction < 1:
            raise ValueError(f"{name}: {fraction} is not a fraction of the text, above 0 and below 1")
    if validation + test >= 1:
        raise ValueError(f"validation: {validation} and test {test} leave nothing of the text to train on")
    try:
        content = read(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"path: {path} is not UTF-8 (byte {error.start})") from None
    vocabulary, tokens = np.unique(np.frombuffer(content.encode("utf-32-le"), np.uint32), return_inverse=True)
    ends = [round(len(tokens) * fraction) for fraction in (1 - validation - test, 1 - test)]
    parts = dict(zip(("train", "validation", "test"), np.split(tokens.astype(np.int32), ends), strict=True))
    return dataset_of(parts, length, batch_size, vocabulary=[chr(code) for code in vocabulary])
