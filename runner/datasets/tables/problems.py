"""What is wrong with a table: all of it at once, with a line for each column."""

from collections.abc import Sequence

from runner.datasets.tables.cells import Cells
from runner.datasets.tables.settings import TableSettings
from runner.datasets.tables.table import Problem, Table
from runner.errors import InvalidData

CATEGORIES = 100  # of one text feature; a column with more probably holds names
SHOWN = 100  # lines
FILL = "fill it or remove the row, or say missing=mean, median or drop_rows"
GAP = "need a finite number, as in other rows, or missing=mean, median or drop_rows"
NOT_TEXT = "if these are categories, name the column in categories"


def refuse_all(path: str, lines: Sequence[str]) -> None:
    """Raises an error of all lines, if there are any."""
    if len(lines) == 1:
        raise ValueError(lines[0])
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise InvalidData(
            "\n  ".join(
                [f"path: {path} has {len(lines)} columns that cannot be used:", *lines[:SHOWN], *more]
            )
        )


def check_cells(table: Table, cells: Cells, features: Sequence[str], settings: TableSettings) -> None:
    """Raises an error of all columns with cells that do not fit, are missing without need, or are too many texts."""
    problems: dict[str, Problem] = {}
    for problem in cells.misfits:
        need = f"{problem.need}; {NOT_TEXT}" if settings.rules > 1 else problem.need
        problems.setdefault(problem.column, problem._replace(need=need))
    for name, missing in cells.missing(needed_of(features, settings)).items():
        need = FILL if name in cells.texts else GAP
        problems.setdefault(name, Problem(name, int(missing.argmax()), need))
    lines = table.describe(list(problems.values()))
    for name in features:
        count = cells.texts[name].n_unique() if name in cells.texts else 0
        if count > CATEGORIES and name not in problems:
            lines.append(
                f"{name}: {count} different texts in {settings.path}; a text feature may have {CATEGORIES}: write it as"
                " numbers or remove the column, by drop"
            )
    refuse_all(settings.path, lines)


def needed_of(features: Sequence[str], settings: TableSettings) -> list[str]:
    """Returns the columns of which no cell may be missing."""
    others = [name for name in (settings.weights, settings.time) if name is not None]
    if settings.missing != "refuse":
        return others
    return [*features, *settings.targets, *others]
