import inspect
from pathlib import Path

import pytest
import yaml

from runner import datasets

# Settings whose defaults in Python are those of runs that were saved without them.
EARLIER = {
    "csv": {"unseen": "refuse", "stratify": False, "rules": 1},
    "image_folder": {"labels": "earlier"},
    "mnist": {"classes": 10},
    "npz": {"relabel": False},
}
CONFIGS = sorted((Path(datasets.__file__).parents[1] / "conf" / "dataset").glob("*.yaml"))
OF_ANOTHER = {
    "oxford_flowers102": ("tfds", {"name": "oxford_flowers102"})
}  # the part, and what its settings are


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_lists_every_setting_with_its_default(path):
    settings = yaml.safe_load(path.read_text())
    function, own = OF_ANOTHER.get(path.stem, (path.stem, {}))
    assert settings.pop("_target_") == f"runner.datasets.{function}"
    parameters = inspect.signature(getattr(datasets, function)).parameters.values()
    defaults = {parameter.name: parameter.default for parameter in parameters}
    earlier = EARLIER.get(path.stem, {})
    assert earlier.keys() <= settings.keys()
    written = {
        name: "???" if value is inspect.Parameter.empty else list(value) if value == () else value
        for name, value in defaults.items()
    }
    assert settings | earlier == written | own
