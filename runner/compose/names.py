"""The names of choices by the targets of their files, without Hydra."""

import functools
import re
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"


def choice_of(target: str) -> str:
    """Returns the choice whose file names a target, such as "cross_entropy", or otherwise the target's own name."""
    own = target.rpartition(".")[2]
    choices = _choices().get(target, frozenset())
    return min(choices) if own not in choices and len(choices) == 1 else own


@functools.cache
def _choices() -> dict[str, frozenset[str]]:
    """Returns the names of the files of runner's configurations by their targets."""
    choices: dict[str, frozenset[str]] = {}
    for path in CONF.rglob("*.yaml"):
        found = re.search(r"^_target_: ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            choices[found[1]] = choices.get(found[1], frozenset()) | {path.stem}
    return choices
