"""Keeps states on disk: the latest two and the best, whole or not at all."""

import functools
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from runner.scenario import named_leaves
from runner.types import Metrics


class Misfit(ValueError):
    """A checkpoint that does not fit the state it is to be restored into."""


class Checkpoints:
    """The checkpoints of one run, by Orbax; saving goes on beside the training.

    Args:
        directory: of the checkpoints alone; made at the first save.
        mode: "min" or "max": which of the saved values is the best.
    """

    def __init__(self, directory: str | Path, mode: str = "min"):
        self.directory = Path(directory).absolute()
        self._sign = 1.0 if mode == "max" else -1.0

    @functools.cached_property
    def _manager(self):
        import orbax.checkpoint as ocp

        policies = ocp.checkpoint_managers
        best = policies.BestN(get_metric_fn=self._rank, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            best_fn=self._rank,
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(2), best]),
            cleanup_tmp_directories=True,
            async_options=ocp.options.AsyncOptions(
                create_directories_asynchronously=False
            ),  # else threads hang
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()}
        return ocp.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def _rank(self, metrics: Metrics) -> float:
        value = metrics.get("value", math.nan)
        return self._sign * value if math.isfinite(value) else -math.inf

    @property
    def steps(self) -> list[int]:
        """The steps that can be restored, ascending."""
        return sorted(self._manager.all_steps()) if self.directory.is_dir() else []

    @property
    def best(self) -> int | None:
        """The step whose saved value is the best, or the latest where none was given."""
        return max(
            self.steps, key=lambda step: (self._rank(self._manager.metrics(step) or {}), step), default=None
        )

    def save(self, step: int, state: Any, extra: dict, value: float | None = None) -> None:
        """Begins to save a state; it may be donated at once.

        Args:
            step: steps made.
            state: arrays only.
            extra: what else a resumed run needs; goes through JSON.
            value: of the metric that the best follows, if it was just evaluated.

        Raises:
            OSError: this save, or the one before it, failed.
        """
        import orbax.checkpoint as ocp

        self._manager.wait_until_finished()
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), extra=ocp.args.JsonSave(extra))
        metrics = {"value": math.nan if value is None else float(value)}
        if not self._manager.save(step, args=items, metrics=metrics):
            raise OSError(
                f"{self.directory}: step {step} was not saved; the newest step there is {self.steps[-1:]}"
            )

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """Gives (step, state, extra) of a step, the newest by default, or None where nothing is saved.

        Args:
            template: shapes and dtypes of the state.
            step: which; it must be one of `steps`.

        Raises:
            Misfit: names, shapes or dtypes differ from the template's; nothing is cast.
        """
        import orbax.checkpoint as ocp

        if not self.steps:
            return None
        step = self.steps[-1] if step is None else step
        if step not in self.steps:
            raise Misfit(
                f"there is no checkpoint of step {step}; there are {', '.join(map(str, self.steps))}"
            )
        _refuse_misfit(template, self._manager.item_metadata(step)["state"])
        found = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(jax.tree.map(_placed, template)), extra=ocp.args.JsonRestore()
            ),
        )
        return step, found["state"], found["extra"]

    def close(self) -> None:
        """Waits for the last save."""
        if "_manager" in self.__dict__:
            self._manager.close()
            del self.__dict__["_manager"]


def _placed(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _refuse_misfit(template: Any, saved: Any) -> None:
    wanted, found = _leaves(template), _leaves(saved)
    for name in wanted | found:
        if wanted.get(name) != found.get(name):
            raise Misfit(
                f"the checkpoint does not fit: {name} is {found.get(name, 'missing')} in it,"
                f" and {wanted.get(name, 'unknown')} in this configuration"
            )


def _leaves(tree: Any) -> dict[str, str]:
    leaves = named_leaves(tree)
    for name, leaf in leaves.items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # Orbax's metadata tells the key's words
            leaves[name] = jax.eval_shape(jax.random.key_data, leaf)
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in leaves.items()}
