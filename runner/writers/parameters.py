"""A table of the parameters of a state's nets."""

import jax

from runner.core import Params, PyTree, TrainState
from runner.core.averages import AveragedNet

ROWS = 40  # the most rows of a net; larger nets are listed in less detail


def parameter_table(state: PyTree) -> str:
    """Returns a table of every net of a state: modules, parameters, shapes and counts. A shared array counts once.

    A net of more than 40 arrays is listed by module, and one of more than 40 modules by its first and last modules.
    """
    is_net = lambda part: isinstance(part, TrainState | AveragedNet)
    nets, _ = jax.tree_util.tree_flatten_with_path(state, is_leaf=is_net)
    tables = [_net(_name(path) or "net", net.params) for path, net in nets if is_net(net)]
    return "\n\n".join(tables)


def _net(name: str, params: Params) -> str:
    rows, seen = [], set()
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        if id(leaf) not in seen:
            seen.add(id(leaf))
            rows.append((_name(path[:-1]), _name(path[-1:]), str(list(leaf.shape)), leaf.size))
    total = sum(count for *_, count in rows)
    if len(rows) > ROWS:
        rows = _by_module(rows)
    if len(rows) > ROWS:
        omitted = rows[ROWS // 2 : -ROWS // 2]
        more = (f"... {len(omitted)} more modules", "", "", sum(count for *_, count in omitted))
        rows = [*rows[: ROWS // 2], more, *rows[-ROWS // 2 :]]
    return _aligned([(name, "parameter", "shape", "count"), *rows, ("total", "", "", total)])


def _by_module(rows: list[tuple[str, str, str, int]]) -> list[tuple[str, str, str, int]]:
    modules: dict[str, list] = {}
    for row in rows:
        modules.setdefault(row[0], []).append(row)
    return [
        (module, " ".join(name for _, name, _, _ in own), "", sum(count for *_, count in own))
        for module, own in modules.items()
    ]


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _aligned(rows: list[tuple]) -> str:
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    *widths, last = (max(map(len, column)) for column in zip(*cells, strict=True))
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1].rjust(last)]) for row in cells]
    return "\n".join(lines)
