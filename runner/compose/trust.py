"""Limits on runs that somebody else saved: their configurations are plain data and name installed parts only."""

import functools
import importlib
import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from runner.compose.named import FROM_OPTAX
from runner.compose.renamed import with_current_names
from runner.compose.tree import (
    Node,
    children,
    is_part,
    is_reference,
    referenced,
    settings_of,
    target_of,
    walk,
)
from runner.errors import Untrusted
from runner.process.files import read_small

SIZE = 262_144  # bytes of a configuration
NODES = 20_000  # values in it
LEVELS = 24  # of nesting
PLAINLY = "a run's configuration is plain YAML, as runner writes it"
LEADS_OUT = "is neither a file nor a folder, but may lead out of the run directory"
PUBLIC = {
    "optax": "optax",
    "haiku": "haiku",
    "flax.linen": "flax",
    "jax.nn": "jax",
    "runner.metrics": "runner",
}  # module -> where it is defined
PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")}

_trusted: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())
_trusts_all: ContextVar[bool] = ContextVar("trusts_all", default=False)


def read_plain(path: Path) -> dict:
    """Reads a saved configuration as data: mappings, lists, texts and numbers, without aliases or interpolations.

    Raises:
        Untrusted: the file is too long or too deep, is not YAML, or uses other features of YAML.
    """
    try:
        content = read_small(path, SIZE)
    except ValueError as error:
        raise Untrusted(f"{error}; {PLAINLY}") from None
    try:
        config = yaml.load(content, _PlainLoader)
        if not isinstance(config, dict):
            raise Untrusted("not a mapping of settings")
    except (yaml.YAMLError, ValueError) as error:
        what = " ".join(str(error).split())
        raise Untrusted(f"{path}: {what:.500}; {PLAINLY}") from error
    return with_current_names(config)


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # pyright: ignore[reportAttributeAccessIssue]

    class _Loader(Composer, CParser, SafeConstructor, Resolver):
        """Parses in C, six times as fast, and composes in Python, where each value can be checked."""

        def __init__(self, text: str):
            CParser.__init__(self, text)
            for base in (Composer, SafeConstructor, Resolver):
                base.__init__(self)

else:
    _Loader = yaml.SafeLoader  # pyright: ignore[reportAssignmentType]


class _PlainLoader(_Loader):
    """Reads what `yaml.safe_dump` writes for plain containers; checks each value before its content is read."""

    def __init__(self, text: str):
        super().__init__(text)
        self._level = self._nodes = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            _refuse(event, "an anchor or an alias is not allowed")
        if event.tag:
            _refuse(event, f"the tag {event.tag} is not allowed")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            _refuse(event, f"the interpolation {event.value!r:.100} is not allowed")
        self._level, self._nodes = self._level + 1, self._nodes + 1
        if self._level > LEVELS or self._nodes > NODES:
            _refuse(event, f"more than {LEVELS} levels or {NODES} values")
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is None or node.tag not in PLAIN:
            _refuse(event, f"{event.value!r:.100} is not a plain value; put it in quotes")
        return node

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not key.tag.endswith(":str"):
                _refuse(key, "a key is not a text")
            if key.value in seen:
                _refuse(key, f"the key {key.value!r:.100} is given twice")
            seen.add(key.value)
        return node


def _refuse(marked: yaml.Event | yaml.Node, what: str) -> NoReturn:
    raise Untrusted(f"line {marked.start_mark.line + 1}: {what}")


def refuse_code(config: Mapping) -> None:
    """Raises an error if a saved configuration names anything but installed parts; references are followed.

    The allowed targets are those in runner's own YAML files, those of the own code of an installed package in its
    YAML files (entry point `runner.configs`), public names of the libraries, see `is_public`, those of the
    configuration that is being built, see `trusting`, and those of the folders that the command names, see
    `trusting_folders`.

    Raises:
        Untrusted: another `_target_`, another special key, or parts that contain each other without end.
    """
    known = installed() | _trusted.get()
    pending: list[tuple[str, Node, int]] = [("", config, 0)]
    visited = 0
    while pending:
        path, node, level = pending.pop()
        visited += 1
        if level > LEVELS or visited > NODES:
            raise Untrusted(
                f"{path}: parts follow each other through more than {LEVELS} levels or {NODES} values"
            )
        if is_reference(node):
            part = referenced(node)
            if part not in config:
                raise Untrusted(f"{path}: there is no part {part!r} to follow")
            pending.append((part, config[part], level + 1))
        elif isinstance(node, Mapping):
            _refuse_special(path, node, known)
        pending += [(inner_path, value, level + 1) for inner_path, value in children(node, path)]


def _refuse_special(path: str, node: Mapping, known: frozenset[str]) -> None:
    special = [key for key in settings_of(node) if key.startswith("_")]
    if special:
        raise Untrusted(f"{path}.{special[0]}: is not allowed in the configuration of a run")
    target = target_of(node) if is_part(node) else None
    if is_part(node) and not (isinstance(target, str) and (target in known or is_public(target))):
        raise Untrusted(
            f"{path}._target_: {target_of(node)!r:.200} is not an installed part and may run any code; if you trust"
            " this run, say trust_code=true, or install a package that names it (runner.configs)"
        )


def refuse_links(directory: Path) -> None:
    """Raises an error if a run directory contains links, pipes or the like, which lead out of the directory.

    Raises:
        Untrusted: an entry is neither a regular file nor a folder.
    """
    folders: list[str | Path] = [directory] if os.path.isdir(directory) else []
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except FileNotFoundError:  # removed by its writer in the meantime
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                raise Untrusted(
                    f"{entry.path}: {LEADS_OUT}; replace it, or if you trust this run, say trust_code=true to a"
                    " command for saved runs, such as `runner resume`"
                )


def refuse_linked(*paths: Path) -> None:
    """Raises Untrusted if one of these files exists, but is neither a regular file nor a folder."""
    for path in paths:
        if path.is_symlink() or (path.exists() and not (path.is_file() or path.is_dir())):
            raise Untrusted(f"{path}: {LEADS_OUT}; replace it")


@contextmanager
def trusting(config: Mapping) -> Iterator[None]:
    """Allows runs that are opened within this context to name the targets of this trusted configuration."""
    before = _trusted.set(_trusted.get() | _targets(config))
    try:
        yield
    finally:
        _trusted.reset(before)


@contextmanager
def trusting_folders(folders: Iterable[str]) -> Iterator[None]:
    """Allows runs that are opened within this context to name the targets of these folders of configurations."""
    before = _trusted.set(_trusted.get().union(*(_named_by_user(Path(folder)) for folder in folders)))
    try:
        yield
    finally:
        _trusted.reset(before)


@contextmanager
def trusting_all(trust: bool = True) -> Iterator[None]:
    """Allows runs that are opened within this context to name any code and to hold links, if `trust` is true."""
    before = _trusts_all.set(trust or _trusts_all.get())
    try:
        yield
    finally:
        _trusts_all.reset(before)


def trusts_all() -> bool:
    """Returns whether this is within a context of `trusting_all`."""
    return _trusts_all.get()


def installed() -> frozenset[str]:
    """Returns the targets that the configurations of runner and of installed packages name."""
    targets = _named(Path(__file__).parents[1] / "conf") | {FROM_OPTAX}
    for point in entry_points(group="runner.configs"):
        top, *inner = point.value.split(".")
        spec = importlib.util.find_spec(top)
        for folder in (spec and spec.submodule_search_locations) or ():
            named = _named(Path(folder, *inner))
            targets |= {target for target in named if target.startswith(f"{top}.")}
    return targets


def is_public(target: str) -> bool:
    """Returns whether a name is one that optax, Haiku, `flax.linen`, `jax.nn` or `runner.metrics` define and offer.

    A path through one of these to another package, as `optax.jax`, is none, and neither is a name with a leading
    underscore. None of these modules offers a function that reads, writes or runs what its arguments name.
    """
    top = next((top for top in PUBLIC if target.startswith(f"{top}.")), None)
    names = target.removeprefix(f"{top}.").split(".")
    if top is None or not all(name.isidentifier() and not name.startswith("_") for name in names):
        return False
    try:
        value, path = importlib.import_module(top), top
        for name in names:
            path = f"{path}.{name}"
            value = getattr(value, name) if hasattr(value, name) else importlib.import_module(path)
            if not _is_defined_in(PUBLIC[top], value):
                return False
    except (ImportError, AttributeError):
        return False
    return callable(value)


def _is_defined_in(package: str, value: object) -> bool:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(module, str) and module.split(".")[0] == package


@functools.cache
def _named(folder: Path) -> frozenset[str]:
    targets: frozenset[str] = frozenset()
    for path in folder.rglob("*.yaml"):
        targets |= _targets(yaml.safe_load(path.read_text(encoding="utf-8")))
    return targets


def _named_by_user(folder: Path) -> frozenset[str]:
    """Returns the targets in a user's folder; a file that is not YAML is an error only where it is chosen."""
    targets: frozenset[str] = frozenset()
    for path in folder.rglob("*.yaml"):
        with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):
            targets |= frozenset(map(str, _targets(yaml.safe_load(path.read_text(encoding="utf-8")))))
    return targets


def _targets(config: Mapping) -> frozenset[str]:
    return frozenset(target_of(node) for _, node in walk(config) if is_part(node))
