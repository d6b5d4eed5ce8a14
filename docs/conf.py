"""How the documentation is built: ``sphinx-build -W --keep-going -n -b html docs docs/_build``."""

from __future__ import annotations

import inspect
import warnings
from functools import reduce
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from docutils.parsers.rst.states import Inliner
from numpydoc import numpydoc
from sphinx.util.nodes import make_refnode

from pfungst import __version__

project = "Pfungst"
author = "The Pfungst developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!pfungst).*")]  # other projects' names are not looked up on the network

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

apidoc_modules = [
    {
        "path": "../src/pfungst",
        "destination": "api",
        "exclude_patterns": ["../src/pfungst/cli"],
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_default_options = {"ignore-module-all": True, "exclude-members": "__init__"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

warnings.filterwarnings("ignore", "Unknown section", UserWarning)  # in a docstring of torch's

html_theme = "furo"
html_title = f"Pfungst {release}"
html_copy_source = False
toc_object_entries = False  # names of functions in every page's navigation make the build slow


def _list_exports(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: PLR0917
    """A package's page says what can be imported from it, with links to where it is described."""
    del app, options
    exported = getattr(obj, "__all__", None)
    if what != "module" or not exported or not hasattr(obj, "__path__"):
        return
    links = ", ".join(_link(obj, member) for member in exported)
    lines += ["", f"**Import from** ``{name}``: {links}", ""]


def _link(package: ModuleType, member: str) -> str:
    found = getattr(package, member)
    if inspect.isclass(found) or inspect.isfunction(found):
        return f":obj:`{member} <{found.__module__}.{found.__qualname__}>`"
    return f"``{member}``"


def _bar_is_a_bar(inliner: Any, match: Any, lineno: int) -> tuple[str, list[Any], str, list[Any]]:
    """Text such as ``|R|`` is an absolute value, never a substitution of reStructuredText."""
    del inliner, lineno
    end = match.end("start")
    return match.string[:end], [], match.string[end:], []


Inliner.dispatch["|"] = _bar_is_a_bar
numpydoc.mangle_signature = lambda *_: None  # signatures are those of the code; Sphinx 9 has none for data


def _resolve_here(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Links to a name where it can be imported from lead to where it is described."""
    found = _object(node.get("reftarget", ""))
    if found is None:
        return None
    if isinstance(found, TypeVar):
        return content
    target = f"{found.__module__}.{found.__qualname__}"
    described = env.get_domain("py").objects.get(target)
    if described is None:
        return None
    return make_refnode(app.builder, node["refdoc"], described.docname, described.node_id, [content], target)


def _object(target: str) -> Any:
    """The class, function or type variable of that name; for an attribute that is only stated, its class."""
    parts = target.split(".")
    if parts[0] != "pfungst":
        return None
    for end in range(len(parts) - 1, 0, -1):
        try:
            module = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        found = reduce(lambda owner, name: getattr(owner, name, owner), parts[end:], module)
        known = inspect.isclass(found) or inspect.isfunction(found) or isinstance(found, TypeVar)
        return found if known else None
    return None


def setup(app: Any) -> None:
    """Add the lists of names to the packages' pages, and make links to those names work."""
    app.connect("autodoc-process-docstring", _list_exports, priority=400)  # numpydoc comes at 500
    app.connect("missing-reference", _resolve_here)
