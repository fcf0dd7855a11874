"""The choices of each part: where their files are searched, and which of them are listed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from runner.compose.checks import LISTS
from runner.compose.named import configuration, is_dotted, takes_names
from runner.compose.signatures import signature
from runner.compose.tree import Node, is_part, settings_of, target_of
from runner.compose.trust import trusting_folders
from runner.errors import ConfigError

FOLDERS: dict[str, Any] = {
    "pkg": resources.files,
    "file": Path,
}  # scheme of a source -> how to open its folder


def parts(folders: Sequence[str] = ()) -> dict[str, dict[str, dict]]:
    """Returns each part that is listed: group -> choice -> what it is ("about") and its "settings"."""
    with opened(folders) as hydra:
        loader: Any = hydra.config_loader
        return {
            group: {name: _part(loader, group, name) for name in loader.get_group_options(group)}
            for group in loader.list_groups("")
            if group != "hydra"
        }


def choices_with(loader: ConfigLoaderImpl, setting: str) -> dict[str, list[str]]:
    """Returns the listed choices that have a setting, by their groups."""
    groups = [group for group in loader.list_groups("") if group not in ("hydra", "experiment", "debug")]
    having = lambda group: [
        name for name in loader.get_group_options(group) if setting in _part(loader, group, name)["settings"]
    ]
    return {group: names for group in groups if (names := having(group))}


def _part(loader: Any, group: str, name: str) -> dict:
    loaded = loader.repository.load_config(f"{group}/{name}")
    config: Node = OmegaConf.to_container(loaded.config)
    for default in loaded.defaults_list:
        parent = default.get_name() if not default.is_self() and hasattr(default, "get_name") else None
        if parent and not getattr(default, "group", None):
            config = _part(loader, group, parent)["settings"] | config
    config = config.get(group, config)
    read = signature(target_of(config)) if is_part(config) else None
    return {"about": read.about if read else "", "settings": settings_of(config)}


class Repository(ConfigRepository):
    """Hydra's repository of configurations, except that it lists no file with the header `# @listed false`.

    Such a file holds the settings of one scenario or of a test. It can be chosen like any other. A choice that is a
    dotted name needs no file.

    Attributes:
        options: the choices of each group and filter; Hydra asks for them several times.
    """

    def __init__(self, path: ConfigSearchPath):
        super().__init__(path)
        self.options: dict[tuple[str, ObjectType | None], list[str]] = {}

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        """Returns the choices of a group that are listed, or with another filter what Hydra returns."""
        key = (group_name, results_filter)
        if key not in self.options:
            options = super().get_group_options(group_name, results_filter)
            self.options[key] = [
                option
                for option in options
                if results_filter is not ObjectType.CONFIG or self._is_listed(f"{group_name}/{option}")
            ]
        return self.options[key]

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Returns the configuration of a choice, which for a dotted name is generated."""
        group, _, name = config_path.rpartition("/")
        if not (takes_names(group) and is_dotted(name)) or self.config_exists(config_path):
            return super().load_config(config_path)
        config = OmegaConf.create(configuration(group, name))
        defaults = self._extract_defaults_list(config_path, config)
        package = f"{group}.{name.rpartition('.')[2]}" if group in LISTS else None
        result = ConfigResult(
            provider="runner", path=f"name://{name}", config=config, header={"package": package}
        )
        result.defaults_list = self._create_defaults_list(config_path, defaults)
        return result

    def _is_listed(self, choice: str) -> bool:
        source: Any = self._find_object_source(choice, ObjectType.CONFIG)
        if source.scheme() not in FOLDERS:
            return True
        file = FOLDERS[source.scheme()](source.path).joinpath(f"{choice}.yaml")
        with file.open(encoding="utf-8") as text:  # only its header, because to parse all files takes long
            return source._get_header_dict(text.read(512)).get("listed") != "false"


class Loader(ConfigLoaderImpl):
    """Hydra's loader, except that it composes each job of a sweep once for the checks, the sweeper and the launcher.

    Attributes:
        jobs: the composed configurations, by the settings of the job.
        saved: the configuration of the run that is repeated with changes, or None.
    """

    def __init__(self, path: ConfigSearchPath):
        super().__init__(path)
        self.repository = Repository(path)
        self.jobs: dict[tuple[str, ...], DictConfig] = {}
        self.saved: Mapping[str, Node] | None = None

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Returns a composed configuration; see `settle`."""
        config = super().load_configuration(
            config_name, overrides, run_mode, from_shell, validate_sweep_overrides
        )
        settle(config)
        return config

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Returns the configuration of a job; resolved values such as the time of day are those of the sweep."""
        composed = self.jobs.get(tuple(sweep_overrides))
        if composed is None:
            return super().load_sweep_config(master_config, sweep_overrides)
        OmegaConf.copy_cache(from_config=master_config, to_config=composed)
        return composed

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG, *_: object, **__: object
    ) -> list[str]:
        """Returns the choices of a group; Hydra would copy its whole repository for each group."""
        return self.repository.get_group_options(group_name, results_filter)


def settle(config: DictConfig) -> None:
    """Expands `~` in the directories of a run and a sweep.

    Raises:
        ConfigError: there is no such home, or a setting contradicts what a run directory is.
    """
    hydra = config.hydra
    if hydra.job.chdir:
        raise ConfigError(
            "hydra.job.chdir: runs do not change the working directory, which all runs of a process share; leave it"
            " out, and name folders by hydra.run.dir and hydra.sweep.dir"
        )
    if hydra.output_subdir is not None:
        raise ConfigError(
            "hydra.output_subdir: config.yaml in the run directory has all settings; leave it out"
        )
    if any("filename" in handler for handler in (hydra.job_logging.get("handlers") or {}).values()):
        raise ConfigError("hydra.job_logging: runner.log in the run directory is the log; leave it out")
    for key in ("run", "sweep"):
        node = hydra[key]
        folder = OmegaConf.to_container(node, resolve=False)["dir"]  # pyright: ignore
        if str(folder).startswith("~"):
            try:
                node.dir = str(Path(folder).expanduser())
            except RuntimeError as error:
                raise ConfigError(f"hydra.{key}.dir: {folder}: {error}; name the folder without ~") from error


def loader_of(hydra: Hydra) -> Loader:
    """Returns the loader of a Hydra that `opened` has opened."""
    assert isinstance(hydra.config_loader, Loader)
    return hydra.config_loader


@contextmanager
def opened(folders: Sequence[str]) -> Iterator[Hydra]:
    """Opens the configurations of this package, of other packages and of the folders."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigError(f"--config-dir: {folder} is not a folder")
    previous = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    path = create_config_search_path("pkg://runner.conf")
    for folder in folders:
        path.prepend("command-line", f"file://{Path(folder).absolute()}", anchor="schema")
    hydra = Hydra(task_name="runner", config_loader=Loader(path))
    GlobalHydra.instance().initialize(hydra)
    try:
        with trusting_folders(folders):
            yield hydra
    finally:
        GlobalHydra.instance().hydra = previous
