"""A self-contained page: style, script and data inside it, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pfungst.evaluation import wording
from pfungst.report.glossary import WORDS
from pfungst.report.pictures import legend_uri
from pfungst.report.templating import environment
from pfungst.writing import write_whole


def write_page(path: Path, template: str, data: Mapping[str, Any] | None = None, **content: Any) -> Path:
    """Render a template of this room to a file, in one move.

    Style and script are allowed by their SHA-256 and nothing else is: no network, no other script, not even
    one that a name in the data would smuggle in. ``data`` is what the script reads; it is text, never run.
    """
    html = _environment().get_template(template).render(
        style=_asset("page.css"),
        style_hash=_policy_hash("page.css"),
        script=_asset("page.js"),
        script_hash=_policy_hash("page.js"),
        legend_uri=legend_uri(),
        data=data,
        **content,
    )  # fmt: skip
    return write_whole(path, html)


@cache
def _environment() -> Any:
    templates = environment().overlay()
    filters = ("number", "signed", "percent", "interval", "percent_interval", "counted", "against")
    templates.filters = {**templates.filters, **{name: getattr(wording, name) for name in filters}}
    templates.globals = {**templates.globals, "flattened": wording.flattened, "words": WORDS}
    return templates


@cache
def _asset(name: str) -> Any:
    from markupsafe import Markup

    text = resources.files("pfungst.report").joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text)


def _policy_hash(name: str) -> str:
    digest = hashlib.sha256(str(_asset(name)).encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
