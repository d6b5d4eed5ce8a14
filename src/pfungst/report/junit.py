"""An audit as JUnit XML: a test for every class and question, failed where there is a problem.

Written to the schema of the Jenkins xUnit plugin (``junit-10.xsd``), which GitLab, Azure and others read too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pfungst.audits.examined import PARTS
from pfungst.audits.gate import KINDS, Failure
from pfungst.audits.schema import Audit, ModelAudit, Problem
from pfungst.writing import write_whole

_QUESTIONS = {
    "artefact": "artefacts",
    "photo": "artefacts",
    "context": "context",
    "default": "context",
    "heatmap": "quality",
    "data": "",
}
"""The part of an audit that answers whether there is a problem of a kind."""


@dataclass(frozen=True)
class _Case:
    name: str
    state: str
    message: str = ""
    text: str = ""


def write_junit(
    path: str | Path, audit: Audit, kinds: Sequence[str] = KINDS, failed: Sequence[Failure] = ()
) -> Path:
    """Write a test suite for each model, and one for limits if any was passed.

    Parameters
    ----------
    path : path
    audit : Audit
    kinds : sequence of str
        Kinds of problems that count as failures; others are told in the test's output.
    failed : sequence of Failure
        What :func:`pfungst.audits.gate.failures` found; limits among it become failed tests.
    """
    root = ElementTree.Element("testsuites", name="pfungst audit")
    for model in audit.models:
        _add_suite(root, model.name, list(_cases(audit, model, set(kinds))))
    limits = [_Case(item.rule, "failure", item.sentence) for item in failed if item.problem is None]
    if limits:
        _add_suite(root, "limits", limits)
    ElementTree.indent(root)
    return write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _cases(audit: Audit, model: ModelAudit, kinds: set[str]) -> Iterator[_Case]:
    """One for each class and question, and one for the heatmaps of the model as a whole."""
    problems = [problem for problem in audit.problems if model.name in problem.models]
    parts = {part.name: part for part in PARTS}
    for row in model.classes:
        for kind in ("artefact", "photo", "context", "default", "data"):
            mine = [p for p in problems if p.kind == kind and row.name in _classes(p, model)]
            lacking = parts[_QUESTIONS[kind]].lacking(row)
            yield _case(f"{row.name}: {kind}", mine, lacking if kind != "data" else "", kinds)
    untested = "" if model.quality is not None else "heatmap quality was not measured"
    yield _case("heatmaps: heatmap", [p for p in problems if p.kind == "heatmap"], untested, kinds)
    others = [p for p in problems if p.kind not in _QUESTIONS]
    for kind in dict.fromkeys(problem.kind for problem in others):
        yield _case(f"photos: {kind}", [p for p in others if p.kind == kind], "", kinds)


def _classes(problem: Problem, model: ModelAudit) -> set[str]:
    """The classes that a problem is about: it names one, or several joined by commas."""
    names = {row.name for row in model.classes}
    return {problem.class_name} if problem.class_name in names else set(problem.class_name.split(", "))


def _case(name: str, problems: Sequence[Problem], lacking: str, kinds: set[str]) -> _Case:
    if not problems:
        return _Case(name, "skipped", lacking) if lacking else _Case(name, "passed")
    text = "\n\n".join(
        "\n".join(filter(None, (p.title, p.sentence, *p.numbers, p.advice and f"Next: {p.advice}")))
        for p in problems
    )
    stops = any(problem.kind in kinds for problem in problems)
    return _Case(name, "failure" if stops else "system-out", problems[0].title, text)


def _add_suite(root: ElementTree.Element, name: str, cases: Sequence[_Case]) -> None:
    counts = {state: sum(case.state == state for case in cases) for state in ("failure", "skipped")}
    suite = ElementTree.SubElement(
        root, "testsuite", name=_xml(name), tests=str(len(cases)), failures=str(counts["failure"]),
        errors="0", skipped=str(counts["skipped"]),
    )  # fmt: skip
    for case in cases:
        test = ElementTree.SubElement(suite, "testcase", classname=_xml(name), name=_xml(case.name))
        if case.state == "passed":
            continue
        message = {} if case.state == "system-out" else {"message": _xml(case.message)}
        ElementTree.SubElement(test, case.state, message).text = _xml(case.text)


def _xml(text: str) -> str:
    """Without the control characters that no XML document may hold."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in _NEVER))


_NEVER = {chr(code) for code in (*range(0xD800, 0xE000), 0xFFFE, 0xFFFF)}
