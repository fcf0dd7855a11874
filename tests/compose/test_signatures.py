import ast

import pytest

from runner.compose.signatures import Missing, Parameter, is_number, needed, signature

MODULE = '''
import functools
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Plain:
    """A plain one.

    More.
    """
    size: int
    rate: float = 0.5
    names: tuple[str, ...] = field(default=())

class Written:
    def __init__(self, a, *, b: "int | None" = None, **rest):
        pass

@functools.cache
def made(output_shape, width: int = 3):
    """Makes."""

class Derived(Plain):
    pass
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "labware" / "deep").mkdir(parents=True)
    (tmp_path / "labware" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .deep.parts import Plain as Renamed\n"
    )
    (tmp_path / "labware" / "deep" / "parts.py").write_text(MODULE)
    (tmp_path / "labware" / "broken.py").write_text(
        "raise RuntimeError('imported')\n\ndef fine(a: int): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signature.cache_clear()
    return "labware"


def test_dataclasses_classes_and_decorated_functions_are_read(package):
    plain = signature("labware.deep.parts.Plain")
    assert list(plain.parameters) == ["size", "rate", "names"]
    assert plain.parameters["size"].default is None
    assert plain.about == "A plain one."
    written = signature("labware.deep.parts.Written")
    assert list(written.parameters) == ["a", "b"]
    assert written.is_open
    assert list(signature("labware.deep.parts.made").parameters) == ["output_shape", "width"]


def test_re_exports_are_followed_also_those_for_type_checkers(package):
    assert signature("labware.Renamed") == signature("labware.deep.parts.Plain")
    assert "steps" in signature("runner.Loop").parameters


def test_nothing_is_imported(package):
    assert list(signature("labware.broken.fine").parameters) == ["a"]


def test_what_cannot_be_read_is_none_and_what_is_not_there_is_missing(package):
    assert signature("labware.deep.parts.Derived") is None
    assert signature("numpy.linspace") is None
    for target in ("labware.deep.parts.Nothing", "labware.nowhere.Plain", "no_such_package.part"):
        with pytest.raises(Missing):
            signature(target)


def test_libraries_are_read():
    assert signature("optax.adam").parameters["b1"].default is not None
    assert list(signature("optax.losses.squared_error").parameters) == ["predictions", "targets"]
    assert next(iter(signature("runner.nets.mlp").parameters)) == "output_shape"


def parameter(annotation: str | None, default: str | None = None) -> Parameter:
    parse = lambda text: None if text is None else ast.parse(text, mode="eval").body
    return Parameter(parse(annotation), parse(default))


@pytest.mark.parametrize(
    ("annotation", "fitting", "wrong"),
    [
        ("int", [3, -1], [3.5, "3", True, None, [3]]),
        ("float", [3, 0.5], ["x", True, None]),
        ("float | None", [None, 2.5], ["x", False]),
        ("str", ["a"], [3, None]),
        ("bool", [True], [1, "yes"]),
        ("Sequence[int]", [[], [1, 2]], [3, [1.5], ["a"]]),
        ("tuple[float, ...]", [[1, 0.5]], [0.5, [None]]),
        ("int | str", [3, "all"], [2.5]),
        ("Schedule", ["anything", 3], []),
    ],
)
def test_values_are_held_to_the_annotation(annotation, fitting, wrong):
    assert all(needed(parameter(annotation), value) is None for value in fitting)
    assert all(needed(parameter(annotation), value) for value in wrong)


def test_without_an_annotation_the_default_counts():
    assert needed(parameter(None, "3"), "x") == "a whole number"
    assert needed(parameter(None, "None"), "x") is None


def test_a_number_is_what_a_float_is_asked_for():
    assert is_number(parameter("float | None"))
    assert not is_number(parameter("int"))
    assert not is_number(parameter("int | float"))
