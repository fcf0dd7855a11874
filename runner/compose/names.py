"""The names of choices by the targets of their files, without Hydra."""

import functools
import re
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"


def choice_of(target: str, make: str | None = None) -> str:
    """Returns the choice that one types for a part, such as "cross_entropy" or "optax.lamb".

    Args:
        target: the target of the part.
        make: the target of the function to which it passes its other settings, as `optimizer=optax.lamb` has it.

    Returns:
        The name of the file that alone has this target, or otherwise a dotted name, which is a choice, too.
    """
    choices = _choices().get(target, frozenset())
    own = target.rpartition(".")[2]
    return make or (own if own in choices else min(choices) if len(choices) == 1 else target)


@functools.cache
def _choices() -> dict[str, frozenset[str]]:
    """Returns the names of the files of runner's configurations by their targets."""
    choices: dict[str, frozenset[str]] = {}
    for path in CONF.glob("*/*.yaml"):
        found = re.search(r"^(?:  )?_target_: ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            choices[found[1]] = choices.get(found[1], frozenset()) | {path.stem}
    return choices
