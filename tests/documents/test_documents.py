"""What a document prints is true: what it runs does run, what it quotes and links to is there."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from messy_tables import customers
from PIL import Image

from runner.cli import main
from runner.commands.verbs import VERBS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
WALK = Path("docs/new_scenario.md")  # its passages of code are those of examples/own
HOUSES = [
    "area,city,price",
    *(f"{area},{city},{area * 2}.5" for area in range(40, 100) for city in ("Bonn", "Ulm")),
]

BLOCK = r"^```(\w*)\n(.*?)^```$"

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=str)


class Section(NamedTuple):
    document: Path
    heading: str
    blocks: list[tuple[str, str]]  # language, text


def sections(document: Path) -> list[Section]:
    parts = re.split(r"^## ", (ROOT / document).read_text(), flags=re.MULTILINE)
    found = [(part.split("\n", 1)[0], re.findall(BLOCK, part, re.MULTILINE | re.DOTALL)) for part in parts]
    return [Section(document, heading, blocks) for heading, blocks in found if blocks]


def commands(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run(words: list[str], monkeypatch) -> None:
    while "=" in words[0]:
        name, value = words[0].split("=", 1)
        assert name == "PYTHONPATH"
        monkeypatch.syspath_prepend(value)
        words = words[1:]
    program, *arguments = words
    if program == "runner":
        main(small(arguments))
    elif program == "make":
        subprocess.run(["make", "--dry-run", "-C", ROOT, *arguments], check=True, capture_output=True)
    else:
        raise AssertionError(f"a document prints {program}, which nothing here can run")


def small(arguments: list[str]) -> list[str]:
    """Returns the same command with few steps."""
    trains = arguments[:1] == ["resume"] or not set(arguments[:1]) & set(VERBS)
    if not trains or "--help" in arguments:
        return arguments
    steps = 3 if arguments[:1] == ["resume"] else 2
    words = [*(word for word in arguments if not word.startswith("steps=")), f"steps={steps}"]
    if steps == 2 and any("diffusion" in word for word in words):
        words.append("evaluation.size=64")
    if {"dataset=image_folder", "dataset=image_table"} & set(
        words
    ):  # memory of a U-Net grows with the number of pixels
        words.append("dataset.batch_size=8")
    return words


@pytest.mark.slow
@pytest.mark.parametrize(
    "section",
    [section for document in DOCUMENTS for section in sections(document)],
    ids=lambda section: f"{section.document}: {section.heading}",
)
def test_every_command_and_every_program_of_a_section_runs(section, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "houses.csv").write_text("\n".join(HOUSES))
    (tmp_path / "customers.csv").write_text(customers(200), encoding="utf-8")
    (tmp_path / "book.txt").write_text("The quick brown fox jumps over the lazy dog. " * 50)
    (tmp_path / "photos").mkdir()
    for number in range(90):
        Image.new("RGB", (40, 30), (number, 2 * number, 9)).save(tmp_path / "photos" / f"{number}.png")
    for name in ("cat", "dog"):
        shutil.copytree(tmp_path / "photos", tmp_path / "pets" / name)
    named = [f"photos/{number}.png,{'light' if number > 45 else 'dark'}" for number in range(90)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,kind", *named]))
    for language, text in section.blocks:
        if language == "sh":
            for words in commands(text):
                run(words, monkeypatch)
        elif language == "python" and section.document != WALK:
            exec(re.sub(r"\bsteps=\d+", "steps=2", text), {})


def test_the_walk_quotes_the_files_of_the_example():
    folder = ROOT / "examples" / "own"
    files = [path.read_text() for pattern in ("*.py", "*.yaml", "*.toml") for path in folder.rglob(pattern)]
    blocks = [block for section in sections(WALK) for block in section.blocks]
    passages = [text for language, text in blocks if language in ("python", "yaml", "toml")]
    assert passages
    for passage in passages:
        assert any(passage in file for file in files), passage


@documents
def test_every_link_of_a_document_leads_to_a_file(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        if not target.startswith("http"):
            assert os.path.exists(ROOT / document.parent / target), target


def test_the_readme_names_every_scenario():
    text = (ROOT / "README.md").read_text()
    for path in (ROOT / "runner" / "conf" / "scenario").glob("*.yaml"):
        assert f"`scenario={path.stem}`" in text
