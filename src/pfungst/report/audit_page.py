"""The report of an audit: one HTML file that a person reads first.

Finished records go in (:mod:`pfungst.audits.schema`), and thumbnails and heatmaps of the surveys; numbers are
written and drawn, never computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pfungst.audits.schema import Artefact, Audit, ClassAudit, Problem
from pfungst.audits.words import VERDICTS
from pfungst.errors import unknown_name
from pfungst.evaluation.wording import counted, number
from pfungst.images.rectangles import Rectangle
from pfungst.report import charts
from pfungst.report.class_pages import LinkedPage, remove_class_pages, write_class_pages
from pfungst.report.lists import photo_lists
from pfungst.report.page import write_page
from pfungst.report.photo_data import (
    MAX_BYTES,
    Key,
    Sources,
    Zero,
    important,
    low_shares,
    open_sources,
    page_data,
    shown,
)
from pfungst.report.pictures import COMPACT, FULL, picture_uri
from pfungst.report.quality_tables import quality_items

REPORT_FILE = "report.html"
SECTIONS = (
    ("verdict", "Verdict"),
    ("classes", "Classes"),
    ("gallery", "Photos"),
    ("context", "Surroundings"),
    ("quality", "Heatmap quality"),
    ("strategies", "Ways of recognising"),
    ("artefacts", "Marks"),
    ("models", "Side by side"),
    ("method", "Method"),
    ("words", "Words"),
)
"""In the order in which a person sees them."""
KINDS = {
    "artefact": "a mark instead of the object",
    "photo": "a look of the whole photo instead of the object",
    "context": "surroundings instead of the object",
    "default": "a guess where nothing is there",
    "leak": "photos known from training",
    "heatmap": "heatmaps",
    "data": "nothing can be said",
}
"""Kinds of problems in words; one that is not here is named as it is."""
ZERO_WORDS = {
    "threshold": "Each heatmap is drawn from the decision on: red and blue balance where the score equals "
    "the threshold, whose share is the same for every part of the photo.",
    "score": "Each heatmap divides the score f(x) itself: red and blue balance where the score is zero, "
    "which is not where the decision changes.",
}
_SIDE_BY_SIDE = 4


def write_report(audit_folder: str | Path, *, zero: Zero = "threshold", max_bytes: int = MAX_BYTES) -> Path:
    """Write ``report.html`` into a finished audit's folder.

    Parameters
    ----------
    audit_folder : path
        Folder of ``audit.json``, ``pictures/`` and the surveys.
    zero : {"threshold", "score"}
        What photos' heatmaps divide: f(x) − threshold, so that red and blue balance where the decision
        changes, each part of the photo bearing the same share of the threshold; or f(x), as in the paper.
        Measures and pictures of the audit are of f(x) either way.
    max_bytes : int
        Pictures of photos that one file may hold. With more, each class gets pages of its own in ``report/``
        beside the file, which then holds the photos that its sections name.

    Returns
    -------
    Path
        The page. A picture that is missing or damaged is said to be so on it.

    Raises
    ------
    DataError
        If there is no finished audit in the folder.
    ConfigError
        If ``zero`` is neither.
    """
    if zero not in ZERO_WORDS:
        raise unknown_name("zero of a heatmap", str(zero), tuple(ZERO_WORDS))
    folder = Path(audit_folder)
    audit = Audit.load(folder)
    sources = open_sources(folder, audit)
    side_by_side = {name: _side_by_side(sources, name) for name in audit.classes}
    first = [key for key in _wanted(audit, side_by_side) if key in sources.seen]
    data, linked = _photos(folder, sources, first, max_bytes, zero)
    return write_page(
        folder / REPORT_FILE,
        "audit.html.j2",
        data,
        audit=audit,
        sections=SECTIONS,
        surveys=any(survey is not None for survey in sources.surveys),
        linked=linked,
        in_gallery=set() if linked else {entry["class"] for entry in data["entries"]},
        zero_words=ZERO_WORDS[zero],
        low_shares=low_shares(sources),
        side_by_side=side_by_side,
        quality=[quality_items(model) for model in audit.models],
        **_lookups(audit),
        **_drawing(folder, audit, sources),
    )


def _wanted(audit: Audit, side_by_side: Mapping[str, Sequence[str]]) -> dict[Key, None]:
    """Photos that the page's sections name, each once."""
    keys = dict.fromkeys((image, name) for name, images in side_by_side.items() for image in images)
    return {**keys, **dict.fromkeys(important(audit))}


def _photos(
    folder: Path, sources: Sources, first: Sequence[Key], max_bytes: int, zero: Zero
) -> tuple[dict[str, Any], list[LinkedPage]]:
    """All photos if they fit; else those that sections name, as many as fit, and pages for each class."""
    remove_class_pages(folder)
    for detail in (FULL, COMPACT):
        data, left = page_data(sources, list(sources.seen), detail, max_bytes, zero)
        if not left:
            return data, []
    data, _ = page_data(sources, first, FULL, max_bytes, zero)
    return data, write_class_pages(folder, sources, max_bytes, zero, zero_words=ZERO_WORDS[zero])


def _side_by_side(sources: Sources, name: str) -> list[str]:
    """Photos that show a class, seen by every model: the most and least dependent of each, then others."""
    common = [
        image
        for (image, class_name), seen in sources.seen.items()
        if class_name == name and shown(seen) and None not in seen
    ]
    rows = [row for row in (model.by_name(name) for model in sources.audit.models) if row is not None]
    telling = [
        image for row in rows if row.context for image in (*row.context.most[:1], *row.context.least[:1])
    ]
    ranked = dict.fromkeys([image for image in telling if image in common] + common)
    return list(ranked)[:_SIDE_BY_SIDE]


def _lookups(audit: Audit) -> dict[str, Any]:
    """Where things are, and whether there is anything to show."""
    rows = [row for model in audit.models for row in model.classes]
    anchors = {
        (model.name, row.name, item.id): f"artefact-{m}-{c}-{i}"
        for m, model in enumerate(audit.models)
        for c, row in enumerate(model.classes)
        for i, item in enumerate(row.artefacts)
    }
    return {
        "model_index": {model.name: index for index, model in enumerate(audit.models)},
        "class_index": {name: index for index, name in enumerate(audit.classes)},
        "anchors": anchors,
        "headline": headline(audit),
        "kinds": KINDS,
        "opened": [problem.class_name for problem in audit.problems] or list(audit.classes[:1]),
        "evidence": [_evidence(audit, problem, anchors) for problem in audit.problems],
        "has_context": any(row.context is not None for row in rows),
        "has_strategies": any(row.strategies is not None for row in rows),
        "suspects": [(m, row, item) for m in audit.models for row in m.classes for item in row.artefacts],
        "artefacts_searched": any(row.artefacts or row.artefact_note for row in rows),
    }


def headline(audit: Audit) -> str:
    """The verdict in a sentence; what cannot be said is no fault, and no acquittal either."""
    faults = [problem for problem in audit.problems if problem.kind != "data"]
    untold = len(audit.problems) - len(faults)
    rest = f"{counted(untold, 'point')} on which nothing can be said" if untold else ""
    if faults:
        return f"{counted(len(faults), 'suspected problem')}, worst first{f'; {rest}' if rest else ''}."
    if rest:
        return f"No suspected problem was found where one could be looked for; {rest}."
    return "No suspected problem was found."


def _evidence(audit: Audit, problem: Problem, anchors: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """Where a problem is shown in full, and a photo that shows it where it has no crop of its own."""
    names = [model.name for model in audit.models]
    link = next(
        (anchors[key] for name in problem.models
         if (key := (name, problem.class_name, problem.reference)) in anchors), "",
    )  # fmt: skip
    lists = photo_lists(audit, problem)
    found: dict[str, Any] = {"link": link, "image": "", "class_index": 0, "model": 0, "lists": lists}
    if problem.kind == "heatmap":
        return {**found, "link": "quality"}
    if problem.class_name not in audit.classes:
        return {**found, "link": link or "classes"}
    index = audit.classes.index(problem.class_name)
    found["link"] = link or (f"context-{index}" if problem.kind in {"context", "default"} else "classes")
    for name in problem.models:
        row = audit.models[names.index(name)].by_name(problem.class_name) if name in names else None
        most = row.context.most[:1] if row is not None and row.context is not None else ()
        image = problem.example or next(iter(most), "")
        if image and problem.kind != "data":
            return {**found, "image": image, "class_index": index, "model": names.index(name)}
    return found


def _drawing(folder: Path, audit: Audit, sources: Sources) -> dict[str, Any]:
    """What templates draw with."""
    photos = sources.photos
    return {
        "picture": lambda name, side=480: picture_uri(folder, name, side=side),
        "bar": charts.bar,
        "axes": _axes(audit),
        "scatter": charts.scatter,
        "scatter_size": (charts.SCATTER_WIDTH, charts.SCATTER_HEIGHT),
        "places": partial(_places, photos=photos),
        "verdict_words": VERDICTS,
        "place_size": (charts.PLACE_WIDTH, charts.PLACE_HEIGHT),
        "ratio_captions": lambda row: {image: f"μ {number(value)}" for image, value in row.ratios.items()},
    }


def _places(artefact: Artefact, *, photos: Mapping[str, Any]) -> list[Rectangle]:
    return charts.places(artefact, photos)


def _axes(audit: Audit) -> dict[str, charts.Axis]:
    """One scale for each measure, the same in every line of a table."""
    rows: list[ClassAudit] = [row for model in audit.models for row in model.classes]
    contexts = [row.context for row in rows if row.context is not None]
    whole = charts.Axis(low=0.0, high=1.0)
    ratios = [item for row in contexts for item in (row.ratio, row.control_ratio)]
    return {
        "ap": whole,
        "mass": whole,
        "v": whole,
        "share": whole,
        "ratio": charts.axis(ratios, include=1.0),
        "a": charts.axis(row.quality_a for row in rows),
        "drop": charts.axis(item for row in contexts for item in (row.drop_object, row.drop_control)),
    }
