"""The settings of the documentation site, which `make docs` builds with Sphinx."""

import inspect
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from docutils import nodes
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import stringify_annotation

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
NAMES = re.findall(r"^   (runner\S*)$", (DOCS / "api.rst").read_text(), re.MULTILINE)
MODULES = [import_module(name) for name in NAMES]


def home(name, value):
    """Returns the module that describes a public object: the first that offers it, `runner` only if no other does."""
    offers = (module for module in [*MODULES[1:], MODULES[0]] if name in module.__all__)
    return next(module for module in offers if getattr(module, name) is value)


def comments(module):
    """Returns the comments on the names that a module and its submodules define, where autodoc does not look."""
    parts = [name for name in sys.modules if f"{name}.".startswith(f"{module.__name__}.")]
    docs = [item for part in parts for item in ModuleAnalyzer.for_module(part).find_attr_docs().items()]
    return {name: " ".join(lines) for (owner, name), lines in docs if not owner}


def entry(name, value, comment):
    """Returns the directive that describes a public object: a constant, a type alias, a class or a function."""
    if isinstance(value, str) or type(value).__module__.startswith("runner."):
        return f".. py:data:: {name}\n   :type: {stringify_annotation(type(value), 'smart')}\n\n   {comment}"
    if comment:
        return f".. py:type:: {name}\n   :canonical: {stringify_annotation(value, 'smart')}\n\n   {comment}"
    if isinstance(value, type):
        return f".. auto{'exception' if issubclass(value, BaseException) else 'class'}:: {name}"
    if inspect.isroutine(inspect.unwrap(value)):
        return f".. autofunction:: {name}"
    raise ValueError(f"{name}: a type alias or constant needs a comment that begins with #:")


def contents(module):
    """Returns what the page of a module describes, and the links to its other public names."""
    described, linked, known = [], [], comments(module)
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            linked.append(f":py:mod:`{name} <{value.__name__}>`")
        elif home(name, value) is not module:
            linked.append(f":py:obj:`{name} <{home(name, value).__name__}.{name}>`")
        else:
            described.append(entry(name, value, known.get(name, "")))
    return {"described": described, "linked": linked}


project = "runner"
copyright = "2026, The runner authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
templates_path = ["templates"]
html_theme = "furo"
html_title = "runner"
html_show_sourcelink = False
html_copy_source = False
smartquotes = False  # they would change options such as --help
default_role = "py:obj"  # single backticks in docstrings: a link, or code if there is no such object
maximum_signature_line_length = 140
python_use_unqualified_type_names = True
autodoc_default_options = {
    "members": True,
    "special-members": "__call__",
    "exclude-members": "tree_flatten, tree_unflatten",
}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autosummary_context = {"contents": {module.__name__: contents(module) for module in MODULES}}
napoleon_use_ivar = True


def relocate(app, path, docname, content):
    """Makes the links of a file of the repository's root, which a page includes, relative to this folder."""
    moved = lambda link: "](" + PAGES.get(link[1], os.path.relpath(link[1], "docs")) + ")"
    content[0] = re.sub(r"\]\((?!https?:|#)([^)]+)\)", moved, content[0])


def sign(app, what, name, value, options, signature, returned):
    """Leaves out the signature of a protocol, which nobody calls."""
    return ("", None) if getattr(value, "_is_protocol", False) else None


def describe(app, what, name, value, options, lines):
    """Leaves out what Python says of fields without a comment, and rejoins sentences that napoleon took for a type."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()
    for line in lines if what == "property" else ():
        if line.startswith(":type: "):
            lines.remove(line)
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            break


def use_colons(app, doctree):
    """Puts a colon between a parameter and its description, as in the docstrings, instead of two hyphens."""
    for text in list(doctree.findall(lambda node: node == " -- ")):
        text.parent.replace(text, nodes.Text(": "))


def setup(app):
    """Connects the functions above to the stages of a build."""
    app.connect("include-read", relocate)
    app.connect("autodoc-process-signature", sign)
    app.connect("autodoc-process-docstring", describe)
    app.connect("doctree-read", use_colons)
