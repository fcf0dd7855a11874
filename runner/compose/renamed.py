"""The names of parts in earlier versions, which saved runs and other packages may still use."""

from runner.compose.tree import TARGET, Node, is_part, target_of, transform

RENAMED = {"runner.run.features": "runner.runs.features"}


def with_current_names(config: Node) -> Node:
    """Returns a configuration, or a part of one, with each `_target_` under its current name."""
    return transform(config, _with_current_name)


def _with_current_name(node: Node) -> Node:
    if not (is_part(node) and isinstance(target_of(node), str)):
        return node
    return node | {TARGET: RENAMED.get(target_of(node), target_of(node))}
