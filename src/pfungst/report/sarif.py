"""An audit as SARIF 2.1.0: a result for every problem, with photos as its locations.

References
----------
OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, 2020.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pfungst import __version__
from pfungst.audits.gate import Failure, artefact_of
from pfungst.audits.schema import AUDIT_FILE, Audit, Problem
from pfungst.writing import write_whole

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    "artefact": ("error", "A class is recognised by a mark that is not the object."),
    "photo": ("error", "A class is recognised by a property of the whole photo."),
    "context": ("error", "A class is recognised by its surroundings."),
    "default": ("error", "A class is what the model says when nothing is there."),
    "leak": ("error", "Photos were known from training."),
    "heatmap": ("warning", "Heatmaps are no better than chance."),
    "data": ("note", "Nothing can be said about a class."),
    "limit": ("error", "A number is beyond its limit."),
}
_OTHER = ("warning", "A problem of another kind.")
_MOST_LOCATIONS = 1000


def write_sarif(path: str | Path, audit: Audit, failed: Sequence[Failure] = ()) -> Path:
    """Write one run whose results are the audit's problems, and the limits among ``failed``."""
    results = [_of_problem(audit, problem) for problem in audit.problems]
    results += [
        _result("limit", f"{item}", item.rule, item.sentence.rpartition(" is ")[0])
        for item in failed
        if item.problem is None
    ]
    content = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(results)},
                "automationDetails": {"id": f"{audit.title}/"},
                "columnKind": "unicodeCodePoints",
                "results": results,
                "invocations": [
                    {"executionSuccessful": True, "toolExecutionNotifications": list(_notes(audit))}
                ],
            }
        ],
    }
    return write_whole(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def _driver(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    used = dict.fromkeys(result["ruleId"] for result in results)
    rules = [
        {"id": name, "shortDescription": {"text": words}, "defaultConfiguration": {"level": level}}
        for name in used
        for level, words in [_RULES.get(name, _OTHER)]
    ]
    return {"name": "Pfungst", "version": __version__, "rules": rules}


def _notes(audit: Audit) -> Iterator[dict[str, Any]]:
    """What could not be examined, so that silence is not taken for a clean bill."""
    for line in (*audit.not_run, *(f"not used: {line}" for line in audit.failures)):
        yield {"level": "note", "message": {"text": line}}


def _of_problem(audit: Audit, problem: Problem) -> dict[str, Any]:
    parts = (problem.title + ".", problem.sentence, *problem.numbers, problem.advice)
    made = _result(problem.kind, " ".join(filter(None, parts)), problem.class_name, *problem.models)
    made["locations"] = list(_locations(audit, problem)) or made["locations"]
    left = len(problem.photos) - _MOST_LOCATIONS
    if left > 0:
        made["message"]["text"] += f" {left} more photos are not listed here."
    made["properties"] = {"class": problem.class_name, "models": list(problem.models)}
    return made


def _result(kind: str, text: str, *identity: str) -> dict[str, Any]:
    mark = hashlib.sha256("\0".join((kind, *identity)).encode()).hexdigest()
    return {
        "ruleId": kind,
        "level": _RULES.get(kind, _OTHER)[0],
        "message": {"text": text},
        "partialFingerprints": {"pfungstProblem/v1": mark},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": AUDIT_FILE}}}],
    }


def _locations(audit: Audit, problem: Problem) -> Iterator[dict[str, Any]]:
    """Photos by their id; of a mark, where it lies in each of them, in words."""
    artefact = artefact_of(audit, problem)
    boxes = artefact.boxes if artefact is not None else {}
    for image in problem.photos[:_MOST_LOCATIONS]:
        place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": quote(image)}}}
        if image in boxes:
            left, top, right, bottom = boxes[image]
            text = f"left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g} in the photo's pixels"
            place["message"] = {"text": text}
        yield place
