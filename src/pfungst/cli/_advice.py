"""Advice that fits the command which was given: an error says to try that command's options alone."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import typer

from pfungst.cli._groups import Sectioned
from pfungst.errors import PfungstError

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_BETWEEN = re.compile(r", or |, |; ")


class Command(Sectioned):
    """A command whose errors say what it can be given."""

    def invoke(self, ctx: Any) -> Any:
        """Run it; an error on its way out loses advice that this command does not have."""
        try:
            return super().invoke(ctx)
        except PfungstError as error:
            options = options_of(ctx)
            error.hint = None if error.hint is None else fitted(error.hint, options)
            error.allowed = None if error.allowed is None else fitted(error.allowed, options)
            raise


def options_of(context: typer.Context) -> set[str]:
    """The options of a command and of those above it, as ``--name``."""
    names: set[str] = set()
    here: Any = context
    while here is not None:
        names |= {name for item in here.command.params for name in (*item.opts, *item.secondary_opts)}
        here = here.parent
    return names


def fitted(advice: str, options: Collection[str]) -> str | None:
    """The advice without the alternatives that name other options; None if none is left.

    Alternatives are what stands between commas, semicolons and ``or`` after one of these. Whole commands of
    their own (``pfungst audit``) and of other programs (``dask worker``) are left as they are.

    Examples
    --------
    >>> fitted("mend it, or state the layout (format, --format)", {"--out"})
    'mend it'
    >>> fitted("another --out, or deleting this one", {"--out"})
    'another --out, or deleting this one'
    """
    narrowed = re.sub(r"\(([^()]*--[^()]*)\)", lambda found: _narrowed(found, options), advice)
    parts = [part for part in _alternatives(narrowed) if _named(part) <= set(options)]
    if not parts:
        return None
    first = re.sub(r"^(?:, or |, |; )", "", parts[0])
    return first + "".join(parts[1:])


def _narrowed(group: re.Match[str], options: Collection[str]) -> str:
    """A list of options in parentheses without those that there are not; the whole of it if none is left."""
    left = [item for item in group.group(1).split(", ") if _named(item) <= set(options)]
    return f"({', '.join(left)})" if any(map(_named, left)) else group.group()


def _named(part: str) -> set[str]:
    """The options of this program's commands in a part of an advice."""
    return set(_OPTION.findall(re.sub(r"`?\b(?:pip|dask|pfungst) [^;,`]*", "", part)))


def _alternatives(advice: str) -> list[str]:
    """The parts of an advice, each with what stands before it; parentheses and quotations are not cut."""
    cuts = [0]
    for found in _BETWEEN.finditer(advice):
        before = advice[: found.start()]
        if before.count("(") == before.count(")") and before.count("`") % 2 == 0:
            cuts.append(found.start())
    return [advice[start:end] for start, end in zip(cuts, [*cuts[1:], len(advice)], strict=True)]
