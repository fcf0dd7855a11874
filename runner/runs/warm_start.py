"""Initial values from another run's checkpoint."""

from collections.abc import Mapping
from typing import Any

import jax

from runner.core import begins, copy, listed, named_leaves, refuse_unknown_names
from runner.runs.saved_run import open_run


class WarmStart:
    """The values of another run's state, ready to take the place of initial ones of the same names.

    All are taken but those of optimizers, which begin anew; or, of the names that are given, all.

    Args:
        run: directory of the other run.
        step: of its checkpoint; the newest by default.
        names: of parts of the state, such as "net" or "net.params.linear"; None is all.

    Raises:
        ValueError: there is no such run or checkpoint.
    """

    def __init__(self, run: str, step: int | None = None, names: list[str] | None = None):
        self.run, self.names = run, names
        try:
            donor = open_run(run)
            newest = donor.checkpoints.newest()
            self.step = donor.step(newest if step is None else step)
        except ValueError as error:
            raise ValueError(f"init_from: {error}") from error
        self.values = named_leaves(donor.state(self.step))

    @property
    def description(self) -> dict[str, Any]:
        """What the run information says about it."""
        return {"run": self.run, "step": self.step, "names": self.names}

    def refuse_misfit(self, template: Any) -> None:
        """Compares the other run's names and shapes with those of a state.

        Raises:
            ValueError: lists what is missing there, unknown here, and of another shape or dtype.
        """
        wanted, found = self._taken(named_leaves(template)), self._taken(self.values)
        refuse_unknown_names("init_names", self.names or (), template)
        shape = lambda leaf: f"{leaf.dtype}{list(leaf.shape)}"
        both = [name for name in wanted if name in found]
        faults = {
            "missing there": [name for name in wanted if name not in found],
            "unknown here": [name for name in found if name not in wanted],
            "misshapen": [
                f"{name} ({shape(found[name])} there, {shape(wanted[name])} here)"
                for name in both
                if shape(wanted[name]) != shape(found[name])
            ],
        }
        lists = [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]
        if lists:
            raise ValueError(
                f"init_from: {self.run} does not fit; {'; '.join(lists)}; init_names=[...] takes parts"
            )

    def __call__(self, state: Any) -> Any:
        """Puts the values in place of a first state's own."""
        wanted = named_leaves(state)
        taken = self._taken(self.values)
        leaves = [copy(taken[name]) if name in taken else leaf for name, leaf in wanted.items()]
        return jax.tree.unflatten(jax.tree.structure(state), leaves)

    def _taken(self, leaves: Mapping[str, Any]) -> dict[str, Any]:
        if self.names is None:
            return {name: leaf for name, leaf in leaves.items() if "opt_state" not in name.split(".")}
        return {name: leaf for name, leaf in leaves.items() if begins(name, self.names)}
