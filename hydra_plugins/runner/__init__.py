"""Adds the configurations of other packages, of the entry point group `runner.configs`, to Hydra's search path."""

from importlib.metadata import entry_points

from hydra.plugins.search_path_plugin import SearchPathPlugin


class RunnerSearchPath(SearchPathPlugin):
    """Adds `pkg://<value>` for each entry point `<name> = <value>`, a package of YAML files like `runner.conf`."""

    def manipulate_search_path(self, search_path):
        """Appends them, so that no package can replace a part of this one."""
        for point in entry_points(group="runner.configs"):
            search_path.append(provider=f"runner:{point.name}", path=f"pkg://{point.value}")
