"""The names that parts had in earlier versions, which saved runs and other packages may still use."""

from collections.abc import Mapping
from typing import Any

RENAMED = {"runner.run.features": "runner.runs.features"}


def with_current_names(config: Any) -> Any:
    """Returns a configuration, or a part of one, with each `_target_` under its present name."""
    if isinstance(config, list):
        return [with_current_names(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    return {
        key: RENAMED.get(value, value)
        if key == "_target_" and isinstance(value, str)
        else with_current_names(value)
        for key, value in config.items()
    }
