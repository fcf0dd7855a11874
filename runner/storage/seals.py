"""Seals: a file in a complete folder with the size and SHA-256 digest of each of its files.

A folder is sealed once all its files are on the disk.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.process.files import read_small, sync

NAME = "seal.json"


class Broken(ValueError):
    """A folder that does not match its seal."""


def seal(folder: Path, note: Mapping[str, object]) -> int:
    """Seals a folder that nothing else reads yet; renaming it afterwards publishes it as a whole.

    Args:
        folder: a complete folder; all of it is on the disk when this function returns.
        note: values that JSON can represent; the seal protects them as well.

    Returns:
        The total size of the files in bytes.
    """
    files = {}
    for name, path in _contents(folder):
        sync(path)
        files[name] = [path.stat().st_size, _digest(path)]
    body = json.dumps({"note": note, "files": files}, sort_keys=True)
    (folder / NAME).write_text(json.dumps({"sha256": _sha256(body), "body": body}), encoding="utf-8")
    sync(folder / NAME)
    for inner in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync(inner)
    return sum(size for size, _ in files.values())


def note(folder: Path) -> dict[str, Any]:
    """Returns the note in the seal of a folder, without a check of its files.

    Raises:
        Broken: the seal is damaged.
        OSError: there is no seal, or it cannot be read.
    """
    return _body(folder)["note"]


def verify(folder: Path) -> dict[str, Any]:
    """Checks every file of a folder and returns the note of its seal.

    Raises:
        Broken: a file is missing, damaged, unreadable or not listed in the seal, or the seal itself is not valid.
    """
    try:
        body = _body(folder)
        paths = dict(_contents(folder))
        for name, (size, digest) in body["files"].items():
            if name not in paths:
                raise Broken(f"file {name} is missing")
            if paths[name].stat().st_size != size or _digest(paths[name]) != digest:
                raise Broken(f"file {name} is damaged")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and error.filename == str(folder / NAME)
        raise Broken("it has no seal" if missing else f"{error.filename}: {error.strerror}") from error
    unknown = sorted(paths.keys() - body["files"].keys())
    if unknown:
        raise Broken(f"file {unknown[0]} is unknown to its seal")
    return body["note"]


def _body(folder: Path) -> dict[str, Any]:
    try:
        text = read_small(folder / NAME)
        outer = json.loads(text)
        is_valid = outer.keys() == {"sha256", "body"} and _sha256(outer["body"]) == outer["sha256"]
        if is_valid and json.dumps(outer) == text:  # and the file has no other bytes, such as a space
            body = json.loads(outer["body"])
            if _is_sealed(body):
                return body
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass  # damaged JSON
    raise Broken("its seal is damaged")


def _is_sealed(body: Any) -> bool:
    """Returns whether a seal has a note, and size and digest of each file."""
    are_files = all([type(part) for part in file] == [int, str] for file in body["files"].values())
    return body.keys() == {"note", "files"} and isinstance(body["note"], dict) and are_files


def _contents(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path != folder / NAME:
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
