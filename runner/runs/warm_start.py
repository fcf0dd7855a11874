"""Initial values from the checkpoint of another run."""

from collections.abc import Mapping

import jax

from runner.core import PyTree, begins, copy, listed, named_leaves, refuse_unknown_names
from runner.errors import Untrusted
from runner.runs.saved_run import open_run


class WarmStart:
    """The values of the state of another run, which replace initial values of the same names.

    By default all values are taken except those of optimizers, which start anew. With names, all values below these
    names are taken. A resumed run does not need the other run, so only `refuse_misfit` raises what is wrong with it.

    Args:
        run: the directory of the other run.
        step: the step of its checkpoint; by default the newest.
        names: names of parts of the state, such as "net" or "net.params.linear"; None takes all.

    Raises:
        Untrusted: the other run names untrusted code.
    """

    def __init__(self, run: str, step: int | None = None, names: list[str] | None = None):
        self.run, self.step, self.names = run, step, names
        self.values: dict[str, PyTree] = {}
        self._error: Exception | None = None
        try:
            donor = open_run(run)
            newest = donor.checkpoints.newest()
            self.step = donor.step(newest if step is None else step)
            self.values = named_leaves(donor.state(self.step))
        except Untrusted as error:
            raise Untrusted(f"init_from: {error}") from error
        except ValueError as error:
            self._error = ValueError(f"init_from: {error}")
        except Exception as error:
            self._error = error

    @property
    def description(self) -> dict[str, object]:
        """The entry of the warm start in the run info."""
        return {"run": self.run, "step": self.step, "names": self.names}

    def refuse_misfit(self, template: PyTree) -> None:
        """Checks that the names and shapes of the other run match those of a state.

        Raises:
            ValueError: the other run or its checkpoint does not exist; or values are missing there, unknown here, or
                differ in shape or dtype, and all are listed.
            Exception: the other run cannot be opened.
        """
        if self._error is not None:
            raise self._error
        expected, available = self._taken(named_leaves(template)), self._taken(self.values)
        refuse_unknown_names("init_names", self.names or (), template)
        shape = lambda leaf: f"{leaf.dtype}{list(leaf.shape)}"
        both = [name for name in expected if name in available]
        faults = {
            "missing there": [name for name in expected if name not in available],
            "unknown here": [name for name in available if name not in expected],
            "misshapen": [
                f"{name} ({shape(available[name])} there, {shape(expected[name])} here)"
                for name in both
                if shape(expected[name]) != shape(available[name])
            ],
        }
        lists = [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]
        if lists:
            raise ValueError(
                f"init_from: {self.run} does not fit; {'; '.join(lists)}; init_names=[...] takes parts"
            )

    def __call__(self, state: PyTree) -> PyTree:
        """Returns an initial state with the values of the other run."""
        initial = named_leaves(state)
        taken = self._taken(self.values)
        leaves = [copy(taken[name]) if name in taken else leaf for name, leaf in initial.items()]
        return jax.tree.unflatten(jax.tree.structure(state), leaves)

    def _taken(self, leaves: Mapping[str, PyTree]) -> dict[str, PyTree]:
        if self.names is None:
            return {name: leaf for name, leaf in leaves.items() if "opt_state" not in name.split(".")}
        return {name: leaf for name, leaf in leaves.items() if begins(name, self.names)}
