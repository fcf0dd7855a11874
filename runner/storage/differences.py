"""Which settings make two configurations different runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.compose.checks import LABELS, with_defaults
from runner.compose.paths import is_path
from runner.compose.signatures import Missing, signature
from runner.compose.tree import Node, leaves, target_of

FREE = {
    *LABELS,
    "steps",
    "figures",
    "allow",
    "traceback",
    "loop.steps",
    "loop.log_every",
    "loop.evaluate_every",
    "loop.save_every",
    "loop.patience",
    "evaluation.metrics",
    "evaluation.per_target",
}
HORIZON = "horizon"  # name of an optimizer's setting: the steps that its schedule spans


def differences(old: Mapping, new: Mapping) -> Iterator[tuple[str, str]]:
    """Yields the settings that make two configurations different runs, each with "key: old there, new asked for"."""
    old_leaves, new_leaves = (dict(leaves(with_defaults(config))) for config in (old, new))
    for key in dict(leaves(old)) | dict(leaves(new)):  # settings that neither names have equal defaults
        before, after = old_leaves.get(key, "nothing"), new_leaves.get(key, "nothing")
        is_unset = key == "loop.mode" and None in (before, after)  # then it is the direction of the metric
        if is_unset or key in FREE or _is_unread_horizon(key, new) or _same(key, before, after):
            continue
        yield key, f"{key}: {before} there, {after} asked for"


def _same(key: str, before: Node, after: Node) -> bool:
    if before == after or not (is_path(key) and isinstance(before, str) and isinstance(after, str)):
        return before == after
    try:
        return Path(before).resolve() == Path(after).resolve()
    except (ValueError, OSError):  # no path, as with a zero byte, or a link to itself
        return False


def _is_unread_horizon(key: str, config: Mapping) -> bool:
    """Returns whether this is the horizon of an optimizer whose schedule does not need it."""
    *path, name = key.split(".")
    node: Node = config
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    if name != HORIZON or not isinstance(node, Mapping) or "schedule" not in node:
        return False
    schedule = config["schedule"] if node["schedule"] == "@schedule" else node["schedule"]
    try:
        target = signature(target_of(schedule)) if isinstance(schedule, Mapping) else None
    except Missing:  # the schedule itself is then a difference
        return False
    return not isinstance(schedule, Mapping) or not (
        target is None or target.constants.get("needs_horizon", True)
    )
