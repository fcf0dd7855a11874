"""Composes the configuration of a run that repeats a saved one with changes."""

import copy
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.compose.checks import LABELS
from runner.compose.tree import Node, leaves
from runner.errors import ConfigError

WHOLE = ("scenario", "experiment", "debug")  # groups whose choices also set other parts


def repeated(config: DictConfig, saved: Mapping[str, Node], choices: Sequence[Override]) -> DictConfig:
    """Returns a composed configuration with the settings of a saved run, except for the parts that are chosen.

    What was as long as the saved run, such as the horizon of a schedule, follows `steps` again. The labels of the saved
    run are its own.

    Args:
        config: with Hydra's node.
        saved: resolved and completed.
        choices: the settings that choose parts.

    Raises:
        ConfigError: a choice would set more than one part.
    """
    for choice in choices:
        if choice.key_or_group in WHOLE:
            raise ConfigError(
                f"{choice.input_line}: sets many parts, and so does from=; leave one of them out"
            )
    paths = [choice.package or choice.key_or_group for choice in choices]
    chosen = {path: OmegaConf.select(config, path) for path in paths if not path.startswith("hydra")}
    own = copy.deepcopy(dict(saved)) | dict.fromkeys(LABELS)
    whole = OmegaConf.create({**own, "hydra": config.hydra}, flags={"struct": True})
    with open_dict(whole):
        for path, part in chosen.items():
            OmegaConf.update(whole, path, part, merge=False)
        for path, value in leaves(own):
            followed = path == "loop.steps" or path.rpartition(".")[2] == "horizon"
            if followed and value == saved["steps"] and OmegaConf.select(whole, path) is not None:
                OmegaConf.update(whole, path, "${steps}")
    return whole
