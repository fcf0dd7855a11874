"""Seals: a file in a finished folder that makes it durable and vouches for each of its files, byte by byte."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.process.files import sync

NAME = "seal.json"


class Broken(ValueError):
    """A folder that its seal does not vouch for."""


def seal(folder: Path, note: Mapping[str, Any]) -> int:
    """Seals a folder that nobody else knows of yet; renaming it is then what publishes it, whole.

    Args:
        folder: complete; all of it reaches the disk before this returns.
        note: goes through JSON; the seal vouches for it as well.

    Returns:
        The bytes of its files.
    """
    files = {}
    for name, path in _contents(folder):
        sync(path)
        files[name] = [path.stat().st_size, _digest(path)]
    body = json.dumps({"note": note, "files": files}, sort_keys=True)
    (folder / NAME).write_text(json.dumps({"sha256": _sha256(body), "body": body}))
    sync(folder / NAME)
    for inner in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync(inner)
    return sum(size for size, _ in files.values())


def note(folder: Path) -> dict[str, Any]:
    """Gives what was noted in a folder's seal; its files are not looked at.

    Raises:
        Broken: the seal is damaged.
        OSError: there is no seal, or it cannot be read.
    """
    return _body(folder)["note"]


def verify(folder: Path) -> dict[str, Any]:
    """Reads every file of a folder and gives the note of its seal.

    Raises:
        Broken: a file, or the seal, is missing, damaged, unreadable or unknown.
    """
    try:
        body = _body(folder)
        found = dict(_contents(folder))
        for name, (size, digest) in body["files"].items():
            if name not in found:
                raise Broken(f"file {name} is missing")
            if found[name].stat().st_size != size or _digest(found[name]) != digest:
                raise Broken(f"file {name} is damaged")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and error.filename == str(folder / NAME)
        raise Broken("it has no seal" if missing else f"{error.filename}: {error.strerror}") from error
    unknown = sorted(found.keys() - body["files"].keys())
    if unknown:
        raise Broken(f"file {unknown[0]} is unknown to its seal")
    return body["note"]


def _body(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / NAME).read_text()
        outer = json.loads(text)
        whole = outer.keys() == {"sha256", "body"} and _sha256(outer["body"]) == outer["sha256"]
        if whole and json.dumps(outer) == text:  # nor is there anything beside it, such as a space
            return json.loads(outer["body"])
    except (ValueError, TypeError, AttributeError):
        pass  # what damage leaves of JSON
    raise Broken("its seal is damaged")


def _contents(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path != folder / NAME:
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
