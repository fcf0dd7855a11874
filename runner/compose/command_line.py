"""Composes a configuration from a command line and checks it, before anything is built."""

import copy
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.compose.checks import LISTS, OFF, check, refuse_unused, without_leftovers
from runner.compose.choices import Loader, choices_with, loader_of, opened, settle
from runner.compose.named import is_dotted, takes_names
from runner.compose.overrides import parse, quoted, refuse_twice
from runner.compose.repeated import repeated
from runner.compose.signatures import Missing, of_all, signature
from runner.compose.tree import TARGET, Node, is_part, is_reference, leaves, referenced, targets_of
from runner.errors import ConfigError
from runner.process.terminal import near


def compose(overrides: Sequence[str], folders: Sequence[str] = ()) -> dict:
    """Composes and checks the configuration of one run.

    Args:
        overrides: as on the command line.
        folders: more folders of configurations, searched after those of this package.

    Returns:
        Plain containers, resolved, without Hydra's own node. References such as "@net" are kept.

    Raises:
        ConfigError: a setting or a choice of a part is wrong.
    """
    with opened(folders) as hydra:
        return checked(overrides, loader_of(hydra), {})[0]


def checked(overrides: Sequence[str], loader: Loader, bases: dict) -> tuple[dict, DictConfig]:
    """Composes and checks one run.

    Args:
        overrides: as on the command line.
        loader: of an opened Hydra.
        bases: a cache of composed configurations by the chosen parts, because composing is slow.

    Returns:
        The configuration as in `compose`, and Hydra's own, with its node.

    Raises:
        ConfigError: a setting or a choice of a part is wrong.
    """
    parsed = parse(overrides)
    _refuse_sweeps(parsed)
    refuse_twice(parsed)
    groups = [override for override in parsed if _is_group(override, loader)]
    for override in groups:
        _check_choice(override, loader)
    chosen = tuple(override.input_line for override in groups)
    if chosen not in bases:
        bases[chosen] = _load(loader, groups)
    base: Node = OmegaConf.to_container(bases[chosen])
    values = [_known(override, parsed, base) for override in parsed if override not in groups]
    for override in values:
        if not is_hydras(str(override.input_line)):
            _check_key(override, base, loader)
    whole = _changed(bases[chosen], values, parsed)
    keys = {override.package or override.key_or_group: str(override.input_line) for override in parsed}
    targets = [key.removesuffix(f".{TARGET}") for key in keys if key.endswith(f".{TARGET}")]
    config = check(without_leftovers(_resolved(whole), targets, keys), known=set(base))
    refuse_unused(config, keys)
    if "loop.mode" in keys and config["loop"].get("mode") is not None and config["loop"].get("best") is None:
        raise ConfigError(
            f"{keys['loop.mode']}: has no effect without a metric to follow; name it by loop.best="
        )
    if config["seeds"] is not None:
        _refuse_settings_of_seeds(whole, config)
    return config, whole


def change(config: Mapping, overrides: Sequence[str], free: Sequence[str]) -> dict:
    """Returns a saved configuration with changed settings: those that may change, and those that `allow=` names.

    Raises:
        ConfigError: another setting is changed, or a value is wrong.
    """
    changed, parsed = OmegaConf.create(dict(config)), parse(overrides)
    allow = [override.value() for override in parsed if override.key_or_group == "allow"]
    allowed = [key for value in allow for key in (value if isinstance(value, list) else [value])]
    for override in parsed:
        key = override.key_or_group
        if key == "loop.steps":
            raise ConfigError("loop.steps: say steps=, which everything follows")
        if key not in free and key not in allowed:
            raise ConfigError(
                f"{key}: a resumed run can change {', '.join(free)}; to change another, say allow={key} too"
            )
        if OmegaConf.select(changed, key, default=OFF) is OFF:
            raise ConfigError(f"unknown setting {key}{near(key.rpartition('.')[2], list(config))}")
        OmegaConf.update(changed, key, override.value())
        if key == "steps":
            OmegaConf.update(changed, "loop.steps", override.value())
    plain: Node = OmegaConf.to_container(changed)
    return check(plain, known=set(config))


def _load(loader: Loader, overrides: Sequence[Override]) -> DictConfig:
    texts = [str(override.input_line) for override in overrides]
    with as_config_error():
        config = loader.load_configuration("config", texts, run_mode=RunMode.RUN)
    return config if loader.saved is None else repeated(config, loader.saved, overrides)


def _changed(base: DictConfig, values: Sequence[Override], overrides: Sequence[Override]) -> DictConfig:
    """Returns a composed configuration with changed settings, equal to the one that Hydra composes with them."""
    whole = copy.deepcopy(base)
    with as_config_error():
        ConfigLoaderImpl._apply_overrides_to_config(list(values), whole)
    own = [override for override in overrides if not override.is_hydra_override()]
    hydras = [override for override in overrides if override.is_hydra_override()]
    whole.hydra.overrides.task = [override.input_line for override in own]
    whole.hydra.overrides.hydra = [override.input_line for override in hydras]
    job = whole.hydra.job
    job.override_dirname = get_overrides_dirname(own, **job.config.override_dirname)
    settle(whole)
    return whole


@contextmanager
def as_config_error() -> Iterator[None]:
    """Converts the errors of Hydra to a ConfigError with a message of one line."""
    try:
        yield
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError("a configuration holds itself, or is too deep") from error
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        raise ConfigError(" ".join(str(error).split("To append")[0].split())) from error


def _resolved(config: DictConfig) -> Node:
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        if missing := sorted(OmegaConf.missing_keys(own)):
            raise ConfigError(f"{missing[0]} is missing: say {missing[0]}=...")
        return OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(" ".join(str(error).split())) from error


def _refuse_settings_of_seeds(whole: DictConfig, config: Mapping) -> None:
    """Raises ConfigError if a setting follows the seed, which the members of `seeds` would not do."""
    first, count = config["seed"], config["seeds"]
    other = copy.deepcopy(whole)
    other.seed = first + 1
    before, after = (dict(leaves(_resolved(each))) for each in (whole, other))
    following = [key for key in before if key != "seed" and before[key] != after.get(key)]
    if following:
        raise ConfigError(
            f"{following[0]}: follows seed, but the runs of seeds= differ in nothing else; sweep instead:"
            f" -m 'seed=range({first},{first + count})'"
        )


def is_hydras(text: str) -> bool:
    """Returns whether a setting is one of Hydra's own and not of the run."""
    return re.match(r"[+~]*hydra\b", text) is not None


def _is_group(override: Override, loader: Loader) -> bool:
    return bool(override.package) or loader.repository.group_exists(override.key_or_group)


def _refuse_sweeps(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_sweep_override():
            one = quoted(str(override.input_line))
            remedy = f", or say {one} if it is one" if one else ""
            raise ConfigError(f"{override.input_line}: several values are a sweep; add -m{remedy}")


def _check_choice(override: Override, loader: Loader) -> None:
    group, choice = override.key_or_group, override.value()
    if not group:
        raise ConfigError(f"{override.input_line}: names no part; settings are key=value")
    if not loader.repository.group_exists(group):
        raise ConfigError(f"unknown part {group}{near(group, loader.list_groups(''))}")
    if override.is_delete() or (choice is None and group in ("experiment", "debug")):
        return
    if choice is None and group in LISTS:
        raise ConfigError(f"{group}: null is no choice; say {group}=[] for none")
    several = choice if isinstance(choice, list) and group in LISTS else [choice]
    for number, each in enumerate(several):
        _check_one(group, each, loader)
        if each in several[:number]:
            raise ConfigError(f"{group}: {each} is given twice")


def _check_one(group: str, choice: object, loader: Loader) -> None:
    if is_dotted(choice) and takes_names(group):
        _check_name(group, str(choice))
        return
    if not (isinstance(choice, str) and choice.replace("-", "_").isidentifier()):
        known = ", ".join(loader.get_group_options(group))
        raise ConfigError(f"{group}: {choice!r} is not a plain name; known: {known}")
    if not loader.repository.config_exists(f"{group}/{choice}"):
        known = loader.get_group_options(group)
        raise ConfigError(f"unknown {group} {choice}{near(choice, known)}; known: {', '.join(known)}")


def _check_name(group: str, name: str) -> None:
    try:
        signature(name)
    except Missing as error:
        raise ConfigError(
            f"{group}: there is no {name}{near(name.rpartition('.')[2], error.known)}"
        ) from error


def _known(override: Override, overrides: Sequence[Override], base: Mapping) -> Override:
    """Returns a setting; one that the configuration does not list, but the signature of its part, is added."""
    path, _, name = override.key_or_group.rpartition(".")
    node: Node = OmegaConf.select(OmegaConf.create(dict(base)), path) if path else None
    if not is_part(node) or name in node or override.type is not OverrideType.CHANGE:
        return override
    new = [other.value() for other in overrides if other.key_or_group == f"{path}.{TARGET}"]
    with suppress(Missing):
        read = signature(str(new[-1])) if new else of_all(*targets_of(node))
        if read is not None and name in read.parameters:
            return dataclasses.replace(override, type=OverrideType.ADD)
    return override


def _check_key(override: Override, base: Mapping, loader: Loader) -> None:
    """Raises an error for a key that nothing reads, and suggests the nearest known key."""
    key = override.key_or_group
    if key == "loop.steps":
        raise ConfigError("loop.steps: say steps=, which everything follows")
    node: Node = base
    path: list[str] = []
    for name in key.split("."):
        slot = ".".join(path)
        if is_reference(node):
            part = referenced(node)
            raise ConfigError(
                f"{key}: {slot} follows {part}; say {part}.{name}=... for all that follow it,"
                f" or give it its own first: {part}@{slot}=CHOICE {key}=..."
            )
        if not isinstance(node, Mapping) or name not in node:
            if override.is_add() and path:
                return  # checked against the signature of the part that receives it
            raise ConfigError(f"unknown setting {key}{_meant(name, slot, node, base, loader)}")
        node, path = node[name], [*path, name]
    value = None if override.is_delete() else override.value()
    is_choice = value is not None and not isinstance(value, Mapping) and not is_reference(value)
    if is_reference(node) and is_choice:
        part, choice = referenced(node), value if isinstance(value, str) else "CHOICE"
        raise ConfigError(
            f"{key}: {value!r} is not a part; say {part}={choice}, or for this alone {part}@{key}={choice}"
        )


def _meant(name: str, slot: str, node: Node, base: Mapping, loader: Loader) -> str:
    if name in LISTS:
        return f"; choose its parts first, by {name}=[CHOICE,...]"
    if slot and isinstance(node, Mapping):
        names = [inner for inner in node if not inner.startswith("_")]
        return near(name, names) or f"; {slot} has {', '.join(names)}"
    for key, _ in leaves(base):
        if key.endswith(f".{name}"):
            return f"; did you mean {key}?"
    for group, names in choices_with(loader, name).items():
        return f"; did you mean {group}.{name}, of {' and '.join(names)}?"
    return near(name, list(base))
