"""Which columns of a table are used, and for what."""

from collections.abc import Sequence

from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table import Table


def features_of(table: Table, settings: TableSettings) -> list[str]:
    """Returns the columns that become features.

    Raises:
        ValueError: a setting names a column that the table does not have, or that has two uses, or none remains.
    """
    header, path = table.header, settings.path
    if len(header) == 1:
        raise ValueError(
            f"path: {path} has one column, {header[0]!r}; commas, semicolons, tabs or | part columns"
        )
    _check_names(header, settings)
    used = {*settings.targets, *settings.drop}
    if settings.columns is not None:
        if both := used.intersection(settings.columns):
            raise ValueError(f"columns: {min(both)} is a target or dropped, and cannot be a feature")
        return [name for name in header if name in settings.columns]
    used |= {settings.weights, settings.group, settings.time}
    features = [name for name in header if name not in used]
    if not features:
        raise ValueError(f"drop: no column of {path} remains as a feature")
    return features


def _check_names(header: Sequence[str], settings: TableSettings) -> None:
    uses = {
        "target": settings.targets,
        "columns": settings.columns or (),
        "drop": settings.drop,
        "categories": settings.categories,
        **{
            name: [getattr(settings, name)]
            for name in ("weights", "group", "time")
            if getattr(settings, name)
        },
    }
    known = set(header)
    for setting, names in uses.items():
        for name in names:
            if name not in known:
                raise ValueError(
                    f"{setting}: {settings.path} has no column {name!r}; it has {', '.join(header)}"
                )
    if not settings.targets or len(set(settings.targets)) < len(settings.targets):
        raise ValueError("target: name one column, or several different ones")
    if dropped := set(settings.targets).intersection(settings.drop):
        raise ValueError(f"drop: {min(dropped)} is a target")
