"""Makes the configurations of other packages findable: those of the entry point group `runner.configs`."""

from importlib.metadata import entry_points

from hydra.plugins.search_path_plugin import SearchPathPlugin


class RunnerSearchPath(SearchPathPlugin):
    """Adds `pkg://<value>` for each entry point `<name> = <value>`, a package that holds YAML folders like ours."""

    def manipulate_search_path(self, search_path):
        """Appends them, so that no package can take the place of a part of ours."""
        for point in entry_points(group="runner.configs"):
            search_path.append(provider=f"runner:{point.name}", path=f"pkg://{point.value}")
