"""The limits of CONTRIBUTING.md on the lengths of scenarios, functions and files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("runner", "hydra_plugins", "faults", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
SCENARIOS = sorted((ROOT / "runner" / "scenarios").glob("*.py"))

files = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def lines(file):
    return len(file.read_text().splitlines())


def test_scenarios_have_at_most_130_lines_and_most_at_most_110():
    lengths = {file.stem: lines(file) for file in SCENARIOS}
    assert max(lengths.values()) <= 130, lengths
    assert sum(length <= 110 for length in lengths.values()) > len(lengths) / 2, lengths


@files
def test_a_file_has_at_most_300_lines(file):
    assert lines(file) <= 300


@files
def test_a_function_has_at_most_40_lines_with_its_docstring(file):
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
    lengths = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in nodes]
    assert [function for function in lengths if function[1] > 40] == []
