"""The package says what types its values have: `Any` is rare."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST = 59


def anys(path: Path) -> list[str]:
    """Returns where a file uses the name `Any`, imports not counted; in annotations written as strings too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node]
        if isinstance(node, ast.arg | ast.AnnAssign) and isinstance(node.annotation, ast.Constant):
            names += ast.walk(ast.parse(str(node.annotation.value), mode="eval"))
        if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Constant):
            names += ast.walk(ast.parse(str(node.returns.value), mode="eval"))
        for name in names:
            is_any = isinstance(name, ast.Name) and name.id == "Any"
            if is_any or (isinstance(name, ast.Attribute) and name.attr == "Any"):
                found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    return found


def test_few_annotations_are_any():
    found = [place for path in sorted((ROOT / "runner").rglob("*.py")) for place in anys(path)]
    assert len(found) <= MOST, "\n".join([f"{len(found)} annotations are Any; say what they are:", *found])
