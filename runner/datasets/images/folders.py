"""Which images a folder has, and their classes and parts by the folders in which they lie."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runner.datasets.checks import report
from runner.datasets.images.decoding import ENDINGS, OTHERS, readable

PARTS = {  # the part of each name of a folder that says one
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
EARLIER = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"


class Part(NamedTuple):
    """The images of one part of a folder, and the name of the class of each."""

    files: list[Path]
    classes: list[str]  #: empty if the images are not sorted by class


def parts_of(path: str, labels: str) -> dict[str, Part]:
    """Returns the images below a folder: part ("train", "validation", "test") -> images; all are "train" without parts.

    What is left out is logged: images beside the folders of classes, and those in formats that cannot be read.

    Args:
        path: the folder.
        labels: "folders", "none" or "earlier", as for `image_folder`.

    Raises:
        ValueError: there is no such folder, it has fewer than 3 images, or its folders contradict each other.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"path: there is no folder {path}; for Oxford Flowers 102, say, fetch {FLOWERS}, unpack it and name its jpg"
        )
    if labels == "earlier":
        files = sorted(
            file for file in folder.rglob("*") if file.suffix.lower() in EARLIER and file.is_file()
        )
        parts = {"train": Part(files, _classes_of_before(files, folder))}
    else:
        files = images_below(folder)
        parts = _sorted(folder, files) if labels == "folders" else {"train": Part(files, [])}
    count = sum(len(part.files) for part in parts.values())
    if count < 3:
        images = f"{count} images" if count else "no images"
        raise ValueError(f"path: {path} has {images} ({', '.join(sorted(readable()))}); need 3 or more")
    return parts


def images_below(folder: Path) -> list[Path]:
    """Returns the images below a folder that can be read, sorted, and logs how many others there are.

    Raises:
        ValueError: a folder cannot be listed.
    """
    files = sorted(_files_below(folder))
    counts = Counter(file.suffix.lower() for file in files)
    others = {
        ending: counts[ending] for ending in sorted(OTHERS | ENDINGS.keys() - readable()) if counts[ending]
    }
    if others:
        named = ", ".join(f"{count} {ending}" for ending, count in others.items())
        report(f"warning: path: {folder} has images that are not read: {named}; convert them, to .png say")
    broken = [file for file in files if file.suffix.lower() in readable() and not file.is_file()]
    if broken:
        report(f"warning: path: {len(broken)} images are links to nothing, such as {broken[0]}")
    return [file for file in files if is_image(file)]


def is_image(file: Path) -> bool:
    """Returns whether a path is a file whose ending is that of an image which can be read."""
    return file.suffix.lower() in readable() and file.is_file()


def _files_below(folder: Path) -> Iterator[Path]:
    """Yields the files below a folder and the folders to which links lead, but for hidden ones and those of systems.

    A folder to which several links lead, or a link and the folder itself, is visited once, because an image of it must
    not be among the training rows and the held-out ones.
    """
    root, linked = folder.resolve(), set()
    pending = [folder]
    while pending:
        for path in sorted(_listed(pending.pop())):
            if not _is_seen(path):
                continue
            if not path.is_dir():
                yield path
            elif not path.is_symlink():
                pending.append(path)
            else:
                target = path.resolve()
                if any(
                    target.is_relative_to(seen) or seen.is_relative_to(target) for seen in (root, *linked)
                ):
                    report(f"note: path: {path} leads to a folder that is read anyway, and is not followed")
                else:
                    linked.add(target)
                    pending.append(path)


def _is_seen(path: Path) -> bool:
    return not (path.name.startswith(".") or path.name in SYSTEM)


def _listed(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError as error:
        raise ValueError(f"path: cannot list {folder}: {error.strerror}") from None


def _sorted(folder: Path, files: list[Path]) -> dict[str, Part]:
    """Sorts images by the folders below a folder: by its parts if all of its folders are parts, and by class."""
    tops = {file.relative_to(folder).parts[0] for file in files if file.parent != folder}
    named = {top for top in tops if top.lower() in PARTS}
    is_deep = any(len(file.relative_to(folder).parts) > 2 for file in files)
    if named and named != tops and (is_deep or len(named) > 1):
        raise ValueError(
            f"path: {folder} has the parts {', '.join(sorted(named))} beside the folders"
            f" {', '.join(sorted(tops - named)[:3])}: move these, or name one of the parts as the path"
        )
    if not named or named != tops:
        return {"train": _by_class(folder, files)}
    parts = {}
    for top in sorted(named):
        part = PARTS[top.lower()]
        if part in parts:
            raise ValueError(f"path: {folder} has two folders for the {part} images, one of them {top}")
        parts[part] = _by_class(folder / top, [file for file in files if file.is_relative_to(folder / top)])
    _count_beside(folder, [file for file in files if file.parent == folder])
    _check_parts(folder, parts)
    return parts


def _check_parts(folder: Path, parts: dict[str, Part]) -> None:
    if "train" not in parts:
        raise ValueError(f"path: {folder} has {', '.join(sorted(parts))} and no train")
    known = set(parts["train"].classes)
    for name, part in parts.items():
        unknown = sorted(set(part.classes) - known)
        if unknown or bool(part.classes) != bool(known):
            raise ValueError(
                f"path: the {name} images in {folder} are of the classes {', '.join(unknown) or 'none'};"
                f" the train images of {', '.join(sorted(known)) or 'none'}"
            )


def _by_class(folder: Path, files: list[Path]) -> Part:
    """Sorts images by the folders directly below a folder, each of which is a class."""
    inside = [file for file in files if file.parent != folder]
    if not inside:
        return Part(files, [])
    _count_beside(folder, [file for file in files if file.parent == folder])
    classes = [file.relative_to(folder).parts[0] for file in inside]
    empty = sorted(
        path.name for path in _listed(folder) if path.is_dir() and _is_seen(path) and path.name not in classes
    )
    if empty:
        report(
            f"warning: path: these folders in {folder} have no images, and are no classes: {', '.join(empty)}"
        )
    return Part(inside, classes)


def _count_beside(folder: Path, files: list[Path]) -> None:
    if files:
        report(
            f"warning: path: {len(files)} images directly in {folder}, such as {files[0].name}, are beside its folders"
            " and ignored; dataset.labels=none takes all images, without classes"
        )


def _classes_of_before(files: list[Path], folder: Path) -> list[str]:
    names = {file.parent.name for file in files}
    is_sorted = all(file.parent.parent == folder for file in files) and not names <= PARTS.keys()
    return [file.parent.name for file in files] if is_sorted else []
