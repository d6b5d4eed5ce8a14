"""The gate: what of an audit stops a pipeline.

Problems stop it by their kind; numbers of ``audit.json`` by a limit such as ``map<0.6``. A limit is a name or
a path, a comparison and a number; nothing is evaluated. A path goes down the records, with items of lists
chosen by name or place in square brackets, all of them without: ``models[fisher].classes[horse].ap.low``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pfungst.audits.json_schema import audit_schema
from pfungst.audits.schema import Artefact, Audit, Problem
from pfungst.audits.verdict import same_artefact
from pfungst.contract.plain import to_plain
from pfungst.errors import ConfigError, unknown_name

KINDS = ("artefact", "photo", "context", "default", "leak", "heatmap", "data")
"""Kinds of problems that can stop a pipeline."""
NUMBERS: Mapping[str, tuple[str, str]] = {
    "map": ("models.mean_ap", "mean average precision of each model"),
    "ap": ("models.classes.ap.mean", "average precision of each class"),
    "kept": ("models.classes.context.kept_without_object.mean", "share recognised without the object"),
    "default": (
        "models.classes.context.others_without_object.mean",
        "share of other photos taken for the class without their object",
    ),
    "mu": ("models.classes.context.ratio.mean", "context ratio μ of each class"),
    "a": ("models.classes.quality_a.mean", "heatmap quality A of each class"),
    "v": ("models.classes.quality_v.mean", "heatmap quality V of each class"),
    "photos": ("n_photos", "photos audited"),
    "problems": ("problems.count", "number of problems"),
    "failures": ("failures.count", "photos that could not be used"),
}
"""Short names of numbers, the path each stands for, and what it is."""
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_LIMIT = re.compile(r"\s*(?P<path>.+?)\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<value>[^\s<>=!]+)\s*")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[[^\]]+\])*")
_STEP = re.compile(r"\[[^\]]+\]|[A-Za-z_]\w*")
_EXAMPLE = "--fail-if 'map<0.6', --fail-if 'models[fisher].classes[horse].ap.low<0.5'"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One reason to stop.

    Attributes
    ----------
    rule : str
        The kind of a problem, or the limit as it was written.
    sentence : str
        One line.
    problem : Problem or None
        Where it is one.
    """

    rule: str
    sentence: str
    problem: Problem | None = None

    def __str__(self) -> str:
        """Such as ``context: “rocket” is recognised by its surroundings (fisher)``."""
        return f"{self.rule}: {self.sentence}"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A number that must not be so: ``path sign value`` stops the pipeline where it holds."""

    text: str
    path: tuple[str, ...]
    sign: str
    value: float

    def holds(self, number: float) -> bool:
        """Whether a number is beyond the limit."""
        return _COMPARISONS[self.sign](number, self.value)


def chosen_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds to stop on, checked.

    Raises
    ------
    ConfigError
        If one is not of :data:`KINDS`.
    """
    for name in names:
        if name not in KINDS:
            raise unknown_name("kind of problem", name, KINDS)
    return tuple(dict.fromkeys(names))


def parse_limit(text: str) -> Limit:
    """A limit such as ``map<0.6``, ``problems.count > 0`` or ``models[a].classes[cat].ap.low<=0.5``.

    Raises
    ------
    ConfigError
        If it is not a path, a comparison and a finite number.
    """
    found = _LIMIT.fullmatch(text)
    allowed = "a name or path, one of < <= > >= == !=, and a number"
    if found is None:
        raise ConfigError(f"the limit {text!r} cannot be read", allowed=allowed, hint=_EXAMPLE)
    try:
        value = float(found["value"])
    except ValueError as error:
        raise ConfigError(
            f"the limit {text!r} ends in {found['value']!r}", allowed=allowed, hint=_EXAMPLE
        ) from error
    if not isfinite(value):
        raise ConfigError(f"the limit {text!r} ends in {found['value']!r}", allowed="a finite number")
    path = _steps(found["path"], text)
    _check_path(audit_schema(), path, text)
    return Limit(text=text.strip(), path=path, sign=found["sign"], value=value)


def _steps(path: str, text: str) -> tuple[str, ...]:
    """The parts of a path; a short name is what it stands for."""
    written = NUMBERS[path][0] if path in NUMBERS else path
    if not _PATH.fullmatch(written):
        raise ConfigError(
            f"the limit {text!r} has the path {path!r}",
            allowed=f"{', '.join(NUMBERS)}, or names joined by dots with list items in square brackets",
            hint=_EXAMPLE,
        )
    return tuple(_STEP.findall(written))


def _check_path(schema: dict[str, Any], path: Sequence[str], text: str) -> None:
    """Refuse a path that no audit has, before anything is measured."""
    node, where = schema["properties"]["audit"], "an audit"
    for step in path:
        node = _entered(schema, node)
        if "items" in node:
            if step.startswith("["):
                node = node["items"]
                continue
            if step == "count":
                return
            node = _entered(schema, node["items"])
        if "properties" not in node:
            return  # names of their own, which only an audit at hand can tell
        name = step.strip("[]")
        if name not in node["properties"]:
            raise ConfigError(
                f"the limit {text!r}: {where} has no {name!r}", allowed=", ".join(node["properties"]),
                hint=f"short names: {', '.join(NUMBERS)}",
            )  # fmt: skip
        node, where = node["properties"][name], name


def _entered(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a reference, or the one that is not null of two, stands for."""
    if "anyOf" in node:
        node = next(part for part in node["anyOf"] if part != {"type": "null"})
    found: dict[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def failures(audit: Audit, kinds: Sequence[str] = (), limits: Sequence[Limit] = ()) -> list[Failure]:
    """All reasons for which an audit stops a pipeline; none is a pass.

    A limit on numbers of which none was measured is a reason too: a gate that cannot look does not pass.

    Raises
    ------
    ConfigError
        If a limit names what no audit has.
    """
    wanted = set(chosen_kinds(kinds))
    found = [_of_problem(problem) for problem in audit.problems if problem.kind in wanted]
    content = to_plain(audit)
    for limit in limits:
        found += _beyond(content, limit)
    return found


def _of_problem(problem: Problem) -> Failure:
    return Failure(
        rule=problem.kind, sentence=f"{problem.title} ({', '.join(problem.models)})", problem=problem
    )


def _beyond(content: Mapping[str, Any], limit: Limit) -> Iterator[Failure]:
    numbers = list(_numbers(content, limit.path, limit, ""))
    measured = [(where, value) for where, value in numbers if value is not None]
    if not measured:
        yield Failure(rule=limit.text, sentence="nothing of it was measured, so it cannot be checked")
    for where, value in measured:
        if limit.holds(value):
            yield Failure(rule=limit.text, sentence=f"{where} is {value:.6g}")


def _numbers(
    content: Any, path: Sequence[str], limit: Limit, where: str
) -> Iterator[tuple[str, float | None]]:
    """Each number at the end of a path and where it is; None where it was not measured."""
    if isinstance(content, list) and path and path[0] == "count":
        yield f"{where}.count".lstrip("."), float(len(content))
    elif isinstance(content, list):
        yield from _items(content, path, limit, where)
    elif path and isinstance(content, dict):
        step = path[0].strip("[]")
        if step not in content:
            known = ", ".join(map(str, content)) or "nothing"
            raise ConfigError(
                f"the limit {limit.text!r}: {where or 'an audit'} has no {step!r}",
                allowed=known, hint=f"short names: {', '.join(NUMBERS)}",
            )  # fmt: skip
        yield from _numbers(content[step], path[1:], limit, f"{where}.{step}".lstrip("."))
    elif content is None:
        yield where, None
    elif path or isinstance(content, bool) or not isinstance(content, (int, float)):
        raise ConfigError(
            f"the limit {limit.text!r}: {where} is no number", allowed="a path that ends at a number"
        )
    else:
        yield where, float(content)


def _items(
    content: list[Any], path: Sequence[str], limit: Limit, where: str
) -> Iterator[tuple[str, float | None]]:
    """Items of a list: the one that brackets choose, or all."""
    chosen = path[0][1:-1] if path and path[0].startswith("[") else "*"
    rest = path[1:] if path and path[0].startswith("[") else path
    names = [str(item.get("name", place)) if isinstance(item, dict) else str(place)
             for place, item in enumerate(content)]  # fmt: skip
    if chosen != "*" and chosen not in names:
        raise ConfigError(
            f"the limit {limit.text!r}: {where} has no item {chosen!r}", allowed=", ".join(names) or "nothing"
        )
    for name, item in zip(names, content, strict=True):
        if chosen in {"*", name}:
            yield from _numbers(item, rest, limit, f"{where}[{name}]")


def new_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds that ``new`` (all of them) and ``new:artefact`` and the like stand for.

    Raises
    ------
    ConfigError
        If a name is neither.
    """
    allowed = {"new": KINDS, **{f"new:{kind}": (kind,) for kind in KINDS}}
    for name in names:
        if name not in allowed:
            raise unknown_name("reason to stop a comparison", name, tuple(allowed))
    return tuple(dict.fromkeys(kind for name in names for kind in allowed[name]))


def new_problems(before: Audit, after: Audit, kinds: Sequence[str] = KINDS) -> list[Failure]:
    """Problems of the second audit that the first one did not have.

    A problem is known if the first audit has one of the same kind and class; a mark besides must lie at the
    same places in photos that both name, or at the same place in words where they name none in common.
    """
    wanted = set(chosen_kinds(kinds))
    return [
        _of_problem(problem)
        for problem in after.problems
        if problem.kind in wanted and not any(_same(old, before, problem, after) for old in before.problems)
    ]


def _same(old: Problem, before: Audit, new: Problem, after: Audit) -> bool:
    if (old.kind, old.class_name) != (new.kind, new.class_name):
        return False
    first, second = artefact_of(before, old), artefact_of(after, new)
    if first is None or second is None:
        return first is second
    if first.boxes.keys() & second.boxes.keys():
        return same_artefact(first, second)
    return (first.kind, first.where) == (second.kind, second.where)


def artefact_of(audit: Audit, problem: Problem) -> Artefact | None:
    """The artefact that a problem is about."""
    rows = [model.by_name(problem.class_name) for model in audit.models if model.name in problem.models]
    return next((item for row in rows if row for item in row.artefacts if item.id == problem.reference), None)
