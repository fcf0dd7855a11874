"""Reads the parameters of a dotted target from its source, in milliseconds because nothing is imported."""

import ast
import functools
import importlib.util
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard

from runner.compose.renamed import RENAMED

SCALARS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "None": "null",
}
LISTS = ("Sequence", "tuple", "list", "Iterable")
FUNCTIONS = {"Callable", "Initializer", "GradientTransformation", "GradientTransformationExtraArgs"}
TEXTS = {"str", "Path", "PathLike", "Any", "object"}
LARGEST_COUNT = 2**32 - 1
LARGEST_NUMBER = 3.4028234663852886e38  # of float32; larger numbers would become infinite
FOLLOWED = 8  # re-exports from a name to its definition


class Missing(LookupError):
    """The error for a target that does not exist.

    Attributes:
        known: what its module defines and imports.
    """

    def __init__(self, target: str, known: Iterable[str] = ()):
        super().__init__(target)
        self.known = tuple(known)


class Parameter(NamedTuple):
    """One parameter of a function or a class."""

    annotation: ast.expr | None
    default: ast.expr | None  # None where it is required


class Signature(NamedTuple):
    """The arguments that a target can be called with."""

    parameters: Mapping[str, Parameter]
    is_open: bool  # accepts any keyword
    about: str  # the first line of its docstring
    constants: Mapping[str, object] = MappingProxyType({})  # of a dataclass; these are not settings
    is_class: bool = False


@functools.cache
def signature(target: str) -> Signature | None:
    """Returns the signature of a target, or None if its source cannot be read; it is then checked when it is built.

    Raises:
        Missing: the module of the target, or the object in it, does not exist.
    """
    definition = _find(RENAMED.get(target, target), FOLLOWED)
    return None if definition is None else _read(*definition)


def _find(target: str, steps: int) -> tuple[ast.AST, ast.Module, str] | None:
    """Returns the definition: its node, the tree that contains it and the name of that module."""
    path, module, names = _module(target)
    if path is None:
        return None
    tree = _tree(path)
    if len(names) != 1:  # an attribute of a class
        return None if names and _defines(path, names[0]) else _refuse_missing(target, tree)
    for node in _statements(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == names[0]:
            return node, tree, module
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == names[0] and steps:
                    return _find(f"{_source(node, module, path)}.{alias.name}", steps - 1)
        if names[0] in _assigned(node):
            return None
    return _refuse_missing(target, tree)


def _refuse_missing(target: str, tree: ast.Module) -> None:
    """Raises Missing, unless the module may still define the target at run time, by `import *` or `__getattr__`."""
    for node in _statements(tree):
        stars = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        if stars or (isinstance(node, ast.FunctionDef) and node.name == "__getattr__"):
            return
    raise Missing(target, _names(tree))


def _module(target: str) -> tuple[Path | None, str, list[str]]:
    """Returns the file and the name of the deepest module of a dotted name, and the remaining names."""
    top, *names = target.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise Missing(target)
    folders, module = [Path(folder) for folder in spec.submodule_search_locations or ()], top
    path = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    while names:
        candidates = [
            file
            for folder in folders
            for file in (folder / f"{names[0]}.py", folder / names[0] / "__init__.py")
        ]
        file = next((file for file in candidates if file.is_file()), None)
        if file is None and not any((folder / names[0]).is_dir() for folder in folders):
            break
        if len(names) == 1 and path is not None and _defines(path, names[0]):
            break  # a function with the name of its module
        folders = [folder / names[0] for folder in folders if (folder / names[0]).is_dir()]
        module, path = f"{module}.{names.pop(0)}", file
    return path, module, names


def _defines(path: Path, name: str) -> bool:
    return name in _names(_tree(path))


def _names(tree: ast.Module) -> set[str]:
    """Returns the names of the functions and classes of a module, and what it imports from others."""
    nodes = list(_statements(tree))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    return imported | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _statements(tree: ast.Module):
    remaining = list(tree.body)
    while remaining:
        node = remaining.pop(0)
        yield node
        if isinstance(node, ast.If | ast.Try):
            remaining = [*node.body, *node.orelse, *remaining]


def _assigned(node: ast.stmt) -> set[str]:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _source(node: ast.ImportFrom, module: str, path: Path) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (path.name == "__init__.py")]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _read(node: Any, tree: ast.Module, module: str) -> Signature | None:
    about = (ast.get_docstring(node) or "").split("\n")[0]
    if isinstance(node, ast.FunctionDef):
        return _of_function(node.args, about)
    constructors = [
        inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"
    ]
    if constructors:
        read = _of_function(constructors[0].args, about)
        return read._replace(
            parameters={name: parameter for name, parameter in read.parameters.items() if name != "self"},
            is_class=True,
        )
    if node.bases or not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return None
    fields = [inner for inner in node.body if isinstance(inner, ast.AnnAssign)]
    parameters = {ast.unparse(field.target): Parameter(field.annotation, field.value) for field in fields}
    constants = {
        ast.unparse(inner.targets[0]): inner.value.value
        for inner in node.body
        if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Constant)
    }
    return Signature(parameters, False, about, constants, is_class=True)


def _of_function(arguments: ast.arguments, about: str) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [
        *zip(positional, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    parameters = {argument.arg: Parameter(argument.annotation, default) for argument, default in pairs}
    return Signature(parameters, arguments.kwarg is not None, about)


def of_all(target: str, inner: str | None) -> Signature | None:
    """Returns the signature of a target that passes what it does not know to another one, the function `make`."""
    read, passed = signature(target), None if inner is None else signature(inner)
    if read is None or passed is None or not read.is_open:
        return read
    return read._replace(parameters={**read.parameters, **passed.parameters}, is_open=passed.is_open)


def needed(parameter: Parameter, value: object) -> str | None:
    """Returns what a parameter needs, in words, or None if the value fits.

    The annotation decides, or without one the type of a literal default. Without either, every value fits.
    """
    annotation = parameter.annotation
    if (
        annotation is None
        and isinstance(parameter.default, ast.Constant)
        and parameter.default.value is not None
    ):
        annotation = ast.Name(type(parameter.default.value).__name__)
    if isinstance(value, str) and takes_function(parameter):
        return "the dotted name of a function, such as jax.nn.relu"
    if annotation is None or _fits(value, annotation):
        return None
    if _is_number(value) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        return "a finite number in float32"
    return f"at most {LARGEST_COUNT}" if _is_number(value) and value > LARGEST_COUNT else _words(annotation)


def takes_function(parameter: Parameter) -> bool:
    """Returns whether a text for this parameter can only be the dotted name of a function or a class."""
    if parameter.annotation is None:
        return isinstance(parameter.default, ast.Name | ast.Attribute | ast.Lambda)
    words = set(re.findall(r"\w+", ast.unparse(parameter.annotation)))
    return bool(words & FUNCTIONS) and not words & TEXTS


def takes_mapping(parameter: Parameter, is_part: bool) -> bool:
    """Returns whether a parameter takes a mapping that names a target, or none, as a mapping that is no part."""
    words = re.findall(r"\w+", ast.unparse(parameter.annotation or ast.Pass()))
    return "Mapping" in words or (not is_part and not {"Any", "dict", "Dict"}.isdisjoint(words))


def is_number(parameter: Parameter) -> bool:
    """Returns whether a whole number for this parameter stands for a float."""
    names = {node.id for node in ast.walk(parameter.annotation or ast.Pass()) if isinstance(node, ast.Name)}
    return "float" in names and "int" not in names


def _choices(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp):
        return [*_choices(annotation.left), *_choices(annotation.right)]
    return [annotation]


def _fits(value: object, annotation: ast.expr) -> bool:
    return any(_fits_one(value, choice) for choice in _choices(annotation))


def _fits_one(value: object, choice: ast.expr) -> bool:
    name = ast.unparse(choice)
    if name == "None":
        return value is None
    if name == "int":
        return _is_number(value) and isinstance(value, int) and value <= LARGEST_COUNT
    if name == "float":
        return _is_number(value) and -LARGEST_NUMBER <= value <= LARGEST_NUMBER  # false for NaN
    if name in ("str", "bool"):
        return isinstance(value, str if name == "str" else bool)
    if isinstance(choice, ast.Subscript) and ast.unparse(choice.value) in LISTS:
        return isinstance(value, list | tuple) and all(_fits(inner, _element(choice)) for inner in value)
    if isinstance(choice, ast.Subscript) and ast.unparse(choice.value) == "Mapping":
        return isinstance(value, Mapping)
    return True


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _element(choice: ast.Subscript) -> ast.expr:
    return choice.slice.elts[0] if isinstance(choice.slice, ast.Tuple) else choice.slice


def _words(annotation: ast.expr) -> str:
    words = []
    for choice in _choices(annotation):
        name = ast.unparse(choice)
        if isinstance(choice, ast.Subscript) and ast.unparse(choice.value) in LISTS:
            words.append(f"a list, each {_words(_element(choice))}")
        elif name.startswith("Mapping["):
            words.append("a mapping")
        else:
            words.append(SCALARS.get(name, name))
    return " or ".join(words)
